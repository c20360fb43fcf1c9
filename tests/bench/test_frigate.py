"""Frigate's chain runs where there is a clone of it, and says what is missing where not."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bench.clip import write_clip
from bench.frigate import VARIABLE, Frigate
from bench.report import Unavailable
from bench.subjects import Subject, prepare


@pytest.fixture(scope="module")
def subject_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """A subject with one frame, with trained weights where they are at hand."""

    def prepared(role: str) -> Subject:
        subject = prepare(role, tmp_path_factory.mktemp(role))
        return replace(subject, frames=subject.frames[:1])

    return prepared


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of that name on the path; nothing here comes to running it."""
    path = tmp_path / "ffmpeg"
    path.write_text("#!/bin/false\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("role", "why"),
    [("classifier-224", "no decode of this kind"), ("pcb-defects", "the input is 640x384")],
)
def test_a_model_that_frigate_does_not_read_is_left_out(
    subject_of: Callable[[str], Subject], role: str, why: str
) -> None:
    with pytest.raises(Unavailable, match=why):
        Frigate(subject_of(role), Path("clip.mp4"))


@pytest.mark.usefixtures("ffmpeg")
def test_a_folder_that_is_no_clone_is_told(
    subject_of: Callable[[str], Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(Unavailable, match=f"{VARIABLE} names no clone.*detector_config.py"):
        Frigate(subject_of("detector-320"), Path("clip.mp4"))


@pytest.mark.usefixtures("ffmpeg")
def test_a_clone_that_has_been_rearranged_is_told(
    subject_of: Callable[[str], Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "frigate" / "detectors" / "detector_config.py"
    file.parent.mkdir(parents=True)
    file.write_text("class PixelFormatEnum(str, Enum):\n    bgr = 'bgr'\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(Unavailable, match="no longer has InputDTypeEnum, InputTensorEnum, Model"):
        Frigate(subject_of("detector-320"), Path("clip.mp4"))


@pytest.mark.skipif(
    VARIABLE not in os.environ or shutil.which("ffmpeg") is None,
    reason=f"{VARIABLE} names no clone of Frigate, or there is no ffmpeg on the path",
)
def test_its_chain_sees_frames_of_a_file_and_its_ffmpeg_ends(
    subject_of: Callable[[str], Subject], tmp_path: Path
) -> None:
    subject = subject_of("detector-320")
    with Frigate(subject, write_clip(tmp_path / "clip.mp4", subject.frames)) as chain:
        sample = chain.turn(0.2)
        pid = chain.ffmpeg_pid
    assert 0 < sample.wall_s < sample.cpu_s * 2
    assert not Path(f"/proc/{pid}").exists()
