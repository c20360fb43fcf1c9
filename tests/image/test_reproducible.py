"""The same inputs give the same layers: what was released can be built again and compared."""

import pytest
from tests.image.podman import AMD64, inspect_image

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
AGAIN = "localhost/visionedge:again"


def test_a_second_build_from_nothing_has_the_same_layers() -> None:
    """`run.sh` builds it with --no-cache: every wheel is fetched and compiled anew."""
    first, again = inspect_image(AMD64), inspect_image(AGAIN)
    assert first["RootFS"]["Layers"] == again["RootFS"]["Layers"]
    assert len(first["RootFS"]["Layers"]) > 3
    assert first["Config"] == again["Config"]
    assert first["Created"] == again["Created"]
