"""Odd names (no UTF-8, too long, with a colon) and locked folders crash nothing."""

import os
import shutil
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


LONG = "y" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "--model", BUNDLE, LONG],
        ["evaluate", "--model", BUNDLE, LONG],
        ["evaluate", "--model", BUNDLE, GOLDEN / "board-1.jpg", "--format", "folders"],
        ["evaluate", "--model", BUNDLE, "/dev/null"],
        ["import", BUNDLE, "--to", LONG],
        ["calibrate", "--verdicts", LONG],
        ["export", "--format", "coco", "--archive", LONG, "--out", "x"],
    ],
)
def test_a_name_that_cannot_be_looked_at_is_one_line(words: list[str | Path]) -> None:
    done = said(*words)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_model_whose_name_is_no_text_is_named_with_the_mend(folder: Path) -> None:
    model = folder / "model.onnx"
    model.write_bytes((BUNDLE / "model.onnx").read_bytes())
    done = said("predict", "--model", model, GOLDEN / "board-1.jpg")
    assert done.returncode == 3, done.stderr
    assert b"its name is no UTF-8 (rename" in done.stderr


def test_a_bundle_is_not_imported_to_such_a_name(folder: Path) -> None:
    done = said("import", BUNDLE, "--to", folder / "new")
    assert done.returncode == 2, done.stderr
    assert b"no UTF-8" in done.stderr


def test_a_video_with_a_colon_in_its_name_is_no_address(tmp_path: Path) -> None:
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    video.rename(tmp_path / "line:1.avi")
    command = [sys.executable, "-m", "visionedge", "predict", "--model", str(BUNDLE)]
    done = subprocess.run(
        [*command, "line:1.avi"], capture_output=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_json_without_a_bottom_is_named(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    each: list[list[str | Path]] = [
        ["predict", "--model", BUNDLE, "--card", deep, GOLDEN / "board-1.jpg"],
        ["replay", deep],
        ["evaluate", "--model", BUNDLE, deep],
    ]
    for words in each:
        done = said(*words)
        assert b"Traceback" not in done.stderr
        assert b"deep.json" in done.stderr


_LOCKED_OUT = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)
"""Root may enter every folder, so it gives that away."""


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may enter every folder"
)
@pytest.mark.parametrize("command", ["predict", "evaluate", "export"])
def test_a_locked_folder_is_not_passed_over(command: str, tmp_path: Path) -> None:
    top = tmp_path / "top"
    locked = top / "locked"
    locked.mkdir(parents=True)
    for folder in (top, locked):
        (folder / "a.jpg").write_bytes((GOLDEN / "board-1.jpg").read_bytes())
        (folder / "a.txt").write_text("0 0.5 0.5 0.2 0.2")
    more: dict[str, list[str | Path]] = {
        "predict": ["--model", BUNDLE, top],
        "evaluate": ["--model", BUNDLE, top],
        "export": ["--format", "coco", "--archive", top, "--out", tmp_path / "out"],
    }
    words = more[command]
    before = _LOCKED_OUT if os.geteuid() == 0 else ()
    locked.chmod(0)
    try:
        done = subprocess.run(
            [*before, sys.executable, "-m", "visionedge", command, *words],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        locked.chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert b"locked" in done.stderr
    assert b"ermission" in done.stderr
    assert b"Traceback" not in done.stderr
