"""Direct mode on a disk that is full at the start: it begins, and asks once there is room."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.direct.test_direct_verifier import route
from tests.support.hub_fake import FakeHub

from visionedge.direct import with_verifier
from visionedge.errors import SettingsError
from visionedge.metrics import Metrics
from visionedge.settings import Settings, resolve
from visionedge.settings.direct import DirectSettings
from visionedge.uplink.direct_hub import DirectHub
from visionedge.uplink.egress import EgressLedger


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """Half a megabyte, all of it taken by `fill`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of a limited size needs root and the right to mount")
    with (disk / "fill").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_KEY", "k-1")


def asking(path: Path) -> Settings:
    direct = {
        "enabled": True,
        "route": route("https://x.example"),
        "key": "${env:VISION_KEY}",
        "path": str(path),
    }
    return resolve([{"direct": direct}])


def opened(settings: DirectSettings, folder: Path) -> DirectHub:
    ledger = EgressLedger(folder / "egress.jsonl", 10**6)
    hub, _ = with_verifier(
        FakeHub(), settings, [{"direct": settings.model_dump()}], ledger, Metrics()
    )
    assert isinstance(hub, DirectHub)
    return hub


def test_the_module_starts_on_a_full_disk_and_asks_once_there_is_room(
    full_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = opened(asking(full_disk / "direct.db").direct, tmp_path)
    began_s = time.monotonic()
    assert hub._verifier.destination == "customvision x.example"
    assert hub._verifier.handle(b"no message", lambda: None) > 0
    (full_disk / "fill").unlink()
    monkeypatch.setattr(time, "monotonic", lambda: began_s + 60)
    assert hub._verifier.handle(b"no message", lambda: None) == 0
    assert (full_disk / "direct.db").exists()
    hub._verifier.close()


def test_a_path_that_is_wrong_ends_the_start_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(SettingsError, match=r"direct\.path"):
        opened(asking(tmp_path / "taken" / "direct.db").direct, tmp_path)
