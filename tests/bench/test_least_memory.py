"""The floor of the module's memory: a process that decodes, runs the model, and is measured."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench.cameras import least_mb
from bench.child import ROOT
from bench.report import Unavailable

BUNDLE = ROOT / "models" / "pcb-defects"


@pytest.mark.slow
def test_two_runs_at_once_need_the_activations_of_another_run(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(
        str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (320, 192)
    )
    for number in range(64):
        writer.write(np.full((192, 320, 3), number, np.uint8))
    writer.release()
    one_mb, two_mb = least_mb(BUNDLE, clip, 1), least_mb(BUNDLE, clip, 2)
    assert one_mb > 50
    # A tensor has 2.9 MB, and a run takes more than that besides.
    assert two_mb > one_mb + 4


def test_a_clip_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"none\.mp4 cannot be read"):
        least_mb(BUNDLE, tmp_path / "none.mp4", 1)
