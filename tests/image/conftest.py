"""The images, the manifest's limits, and folders that stand for the device's.

Run by `run.sh`, which builds the images and says where they are; deselected anywhere else.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.deployment.manifest import own, template
from tests.image.create_options import limits

MODULE_USER = 10001


@pytest.fixture
def options() -> dict[str, Any]:
    """The create options of the manifest, free to be changed."""
    found: dict[str, Any] = own(template())["settings"]["createOptions"]
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What is /data inside: empty, and the module's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, MODULE_USER, MODULE_USER)
    return folder


@pytest.fixture
def flags(options: dict[str, Any], data: Path) -> list[str]:
    """Every limit of the manifest, and no network."""
    return ["--network=none", *limits(options, data)]
