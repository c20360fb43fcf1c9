"""The floor of the module's memory: a process that decodes, runs the model, and is measured."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench.cameras import LIBRARIES, least_mb
from bench.child import ROOT
from bench.report import Unavailable

BUNDLE = ROOT / "models" / "pcb-defects"
SHAPE = (960, 1280, 3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many frames as the least program looks at, and a few more."""
    clip = tmp_path_factory.mktemp("least") / "clip.avi"
    height, width = SHAPE[:2]
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(clip), cv2.CAP_FFMPEG, code, 25.0, (width, height))
    for number in range(64):
        writer.write(np.full(SHAPE, number, np.uint8))
    writer.release()
    return clip


@pytest.mark.slow
def test_two_runs_at_once_need_the_activations_of_another_run(clip: Path) -> None:
    one_mb, two_mb = least_mb(BUNDLE, clip, 1), least_mb(BUNDLE, clip, 2)
    assert one_mb > 50
    # A tensor has 2.9 MB, and a run takes more than that besides.
    assert two_mb > one_mb + 4


@pytest.mark.slow
def test_each_further_camera_needs_a_frame_and_what_decodes_it(clip: Path) -> None:
    one_mb, four_mb = least_mb(BUNDLE, clip, 1), least_mb(BUNDLE, clip, 1, cameras=4)
    # OpenCV's capture has a picture of its own beside the one that it gives.
    assert four_mb > one_mb + 3 * 2 * np.zeros(SHAPE, np.uint8).nbytes / 1e6


@pytest.mark.slow
def test_each_frame_that_is_held_is_in_the_memory_of_the_program(clip: Path) -> None:
    held_mb = least_mb(BUNDLE, clip, 1, held=3) - least_mb(BUNDLE, clip, 1)
    assert held_mb > 2.5 * np.zeros(SHAPE, np.uint8).nbytes / 1e6


@pytest.mark.slow
def test_the_libraries_of_a_module_are_in_the_memory_of_the_program(clip: Path) -> None:
    assert least_mb(BUNDLE, clip, 1, libraries=LIBRARIES) > least_mb(BUNDLE, clip, 1) + 10


def test_a_library_that_is_not_installed_is_named(clip: Path) -> None:
    with pytest.raises(Unavailable, match="No module named 'nobody_has_this'"):
        least_mb(BUNDLE, clip, 1, libraries=["nobody_has_this"])


def test_a_clip_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"none\.mp4 cannot be read"):
        least_mb(BUNDLE, tmp_path / "none.mp4", 1)
