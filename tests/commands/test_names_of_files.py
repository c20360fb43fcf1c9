"""Names that are no UTF-8, as a disk of another system has them, crash nothing."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from visionedge.commands import places
from visionedge.errors import SettingsError

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
GOLDEN = BUNDLE / "golden"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / os.fsdecode(b"b\xe4lt")
    path.mkdir()
    return path


def said(*words: str | Path) -> "subprocess.CompletedProcess[bytes]":
    """A command in a process of its own, which OpenCV may crash."""
    command = [sys.executable, "-m", "visionedge", *words]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def test_pictures_are_looked_at_and_drawn(folder: Path, tmp_path: Path) -> None:
    picture = folder / f"{folder.name}.jpg"
    picture.write_bytes((GOLDEN / "board-1.jpg").read_bytes())
    done = said("predict", "--model", BUNDLE, "--out", tmp_path / "out", picture)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_lt.png"]


def test_a_place_that_is_no_utf_8_is_refused_before_the_work(folder: Path) -> None:
    for path in (folder, folder / "below"):
        with pytest.raises(SettingsError, match="--out: cannot write .*no UTF-8"):
            places.folder(path, "--out")
    with pytest.raises(SettingsError, match="--plot: cannot write .*no UTF-8"):
        places.file(folder / "a.png", "--plot", ".png")


def test_a_video_is_named_with_the_mend(folder: Path, tmp_path: Path) -> None:
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    video.rename(folder / "clip.avi")
    done = said("predict", "--model", BUNDLE, folder / "clip.avi")
    assert done.returncode == 4, done.stderr
    assert b"clip.avi cannot be read: its name is no UTF-8 (rename the file" in done.stderr


def test_a_golden_frame_is_named_with_the_mend(folder: Path, tmp_path: Path) -> None:
    (folder / "a.jpg").write_bytes((GOLDEN / "board-1.jpg").read_bytes())
    done = said("import", BUNDLE, "--to", tmp_path / "new", "--golden", folder)
    assert done.returncode == 2
    assert b"a.jpg is no UTF-8 (rename the file" in done.stderr
