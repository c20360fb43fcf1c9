"""The archive keeps what was settled while that is wanted, and stays within its bounds."""

import json
import logging
import os
from pathlib import Path

import pytest
from tests.support.cloud import escalation, jpeg

from visionedge.datasets.collection import Collection
from visionedge.datasets.shelf import FolderShelf
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.log_repeats import RepeatLimit
from visionedge.settings.archive import ArchiveSettings
from visionedge.uplink.archive import Archive
from visionedge.wire import Verdict


def verdict(id_: str) -> Verdict:
    return Verdict.read(
        {
            "verdict_id": f"v-{id_}",
            "escalation_id": id_,
            "verified_at": "2026-11-21T12:00:00Z",
            "verifier": {"name": "ia40"},
        }
    )


def keep(archive: Archive, id_: str, picture: bytes) -> None:
    archive.keep(json.dumps(escalation(id_, picture=picture)).encode(), verdict(id_), "confirmed")


def ids(folder: Path) -> set[str]:
    collection = Collection(FolderShelf(folder))
    return {s.id for s in collection.samples() if collection.jpeg(s) is not None}


def heavy(number: int) -> bytes:
    """A JPEG of 100 KB, each another one; what follows the picture's end is not looked at."""
    return jpeg() + os.urandom(100_000) + bytes([number])


def test_over_its_bytes_the_oldest_pictures_go(tmp_path: Path) -> None:
    settings = ArchiveSettings(enabled=True, path=str(tmp_path), max_bytes=1024**2)
    archive = Archive(lambda: settings, FakeClock())
    for number in range(30):
        keep(archive, f"e{number}", heavy(number))
        # Within one tick of the disk's clock the name decides, and not the order.
        for index, path in enumerate(sorted(tmp_path.rglob("*.jpg"), key=_number)):
            os.utime(path, (index, index))
    size_bytes = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size_bytes <= 1024**2 * 21 / 20 + 110_000
    assert "e29" in ids(tmp_path)
    assert "e0" not in ids(tmp_path)
    assert len(ids(tmp_path)) >= 8


def _number(path: Path) -> int:
    return int(path.stem[1:])


def test_days_that_are_too_old_go_whole(tmp_path: Path) -> None:
    settings = ArchiveSettings(enabled=True, path=str(tmp_path), max_age_s=2 * 86_400)
    clock = FakeClock()
    keep(Archive(lambda: settings, clock), "old", jpeg())
    clock.advance(4 * 86_400)
    keep(Archive(lambda: settings, clock), "new", jpeg())
    assert ids(tmp_path) == {"new"}
    assert len(list(tmp_path.rglob("index.jsonl"))) == 1


def test_an_escalation_of_another_release_costs_the_sample_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ArchiveSettings(enabled=True, path=str(tmp_path / "archive"))
    archive = Archive(lambda: settings, FakeClock())
    for body in (b"{}", b"no json", json.dumps(escalation("a") | {"frame": 3}).encode()):
        archive.keep(body, verdict("a"), "confirmed")
    assert caplog.text.count("a is not in the archive") == 3
    assert not (tmp_path / "archive").exists()


def test_a_disk_that_refuses_costs_the_sample_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "archive").write_text("a file, and no folder")
    settings = ArchiveSettings(enabled=True, path=str(tmp_path / "archive"))
    with caplog.at_level(logging.ERROR):
        for id_ in ("a", "b", "c"):
            keep(Archive(lambda: settings, FakeClock()), id_, jpeg())
    assert "escalation a is not in it" in caplog.text
    limit = RepeatLimit(FakeClock())
    assert len([line for record in caplog.records for line in limit.take(record)]) == 1
