"""The pictures that benchmarks look at: 1080p frames.

Photos where the real models and photos are at hand beside the project, so that a model
trained on photos finds what it knows; else boards of the virtual line.
"""

from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from bench.report import Unavailable
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.entities import Image

SIZE: Final = (1920, 1080)
COUNT: Final = 7
_BOARD_STEP: Final = 40
"""Frames of the line between two of ours, so that each shows other boards."""


def photos(folder: Path) -> list[Image]:
    """The photos of a folder, cut to 1080p.

    Raises:
        Unavailable: it holds too few.
    """
    paths = sorted(folder.glob("*.jpg"))[:COUNT]
    images = [cv2.imread(str(path)) for path in paths]
    if len(images) < COUNT or any(image is None for image in images):
        raise Unavailable(f"{folder} holds fewer than {COUNT} photos")
    return [_covering(image) for image in images if image is not None]


@cache
def boards() -> list[Image]:
    """Frames of the virtual line."""
    line = VirtualLine(LineSpec(width_px=SIZE[0], height_px=SIZE[1], defect_rate=2.0))
    return [line.render(number * _BOARD_STEP) for number in range(COUNT)]


def _covering(image: np.ndarray) -> Image:
    """Scaled until it covers 1080p, and cut to it."""
    height, width = image.shape[:2]
    scale = max(SIZE[0] / width, SIZE[1] / height)
    size = (max(SIZE[0], round(width * scale)), max(SIZE[1], round(height * scale)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    left, top = (size[0] - SIZE[0]) // 2, (size[1] - SIZE[1]) // 2
    cut = scaled[top : top + SIZE[1], left : left + SIZE[0]]
    return np.ascontiguousarray(cut, np.uint8)
