"""The video of the benchmarks, in whichever codec can be written here."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench.clip import CODEC, write_clip
from bench.frames import SIZE


@pytest.mark.slow
def test_the_video_shows_the_frames_at_full_size(tmp_path: Path) -> None:
    frame = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    frame[:, : SIZE[0] // 2] = 200
    capture = cv2.VideoCapture(str(write_clip(tmp_path / "clip.mp4", [frame])), cv2.CAP_FFMPEG)
    ok, shown = capture.read()
    assert ok, CODEC
    assert shown.shape == frame.shape
    assert np.abs(shown.astype(int) - frame).mean() < 5
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= 100
    capture.release()
