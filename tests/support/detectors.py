"""A face detector of the shared data, and how OpenCV's side of it can fail."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image

MODEL = Path("../shared/conformance/models/yunet_n_320/model.onnx")


class BrokenDetector:
    """What OpenCV does when its runtime fails on a picture."""

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's name
        self.size = size

    def detect(self, image: Image) -> tuple[int, NDArray[np.float32]]:
        raise cv2.error("out of memory")


class NonsenseDetector(BrokenDetector):
    """Gives what is no box."""

    def detect(self, image: Image) -> tuple[int, NDArray[np.float32]]:
        return 1, np.full((1, 15), np.nan, np.float32)
