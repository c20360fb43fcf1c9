"""What is said to be on the disk is synced, the file before the name, and is there whole."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.envelopes import envelope

from visionedge.escalation.baselines import Baselines
from visionedge.escalation.drift import BINS, Baseline
from visionedge.inference.tuned import Choice, Tuned
from visionedge.uplink.local_messages import MessageFolder


def picture(folder: Path) -> None:
    body = json.dumps({"image": {"data": base64.b64encode(b"a picture").decode()}}).encode()
    MessageFolder(folder, 10**9).add(envelope(id="e", body=body))


def baseline(folder: Path) -> None:
    Baselines(folder / "drift.json").keep({"c": Baseline(1, {}, (0,) * BINS)})


def choice(folder: Path) -> None:
    Tuned(folder).keep("a" * 64, Choice(1, 1, False, "cpu", "2026-11-22T00:00:00Z"))


@pytest.mark.parametrize(
    ("write", "names"),
    [
        (picture, ["e.jpg.new", "images", "escalation-*.jsonl"]),
        (baseline, ["drift.json.new", "*"]),
        (choice, ["tuned.json.new", "*"]),
    ],
)
def test_it_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], names: list[str]
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path)
    assert len(synced) == len(names)
    assert all(path.match(name) for path, name in zip(synced, names, strict=True))
    assert not list(tmp_path.rglob("*.new"))
