"""Pictures and videos for the tests of file cameras, written on the spot."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from visionedge.entities import Image

SIDES: Final = (160, 112)
"""(width, height), multiples of 16 as RTP/JPEG needs them."""


def pictures(count: int = 3) -> list[Image]:
    """Grey ramps, each brighter than the one before, that survive compression."""
    width, height = SIDES
    ramp = np.linspace(0, 60, width)[None, :, None]
    steps = 160 / max(1, count - 1)
    return [
        np.broadcast_to(ramp + steps * number, (height, width, 3)).astype(np.uint8)
        for number in range(count)
    ]


def number_of(image: Image, count: int = 3) -> int:
    """Which of `pictures(count)` it is."""
    brightness = [abs(float(image.mean() - picture.mean())) for picture in pictures(count)]
    return int(np.argmin(brightness))


def write_video(path: Path, codec: str = "MJPG", count: int = 3, fps: float = 25.0) -> Path:
    """A video of `pictures(count)`."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, SIDES)
    assert writer.isOpened()
    for image in pictures(count):
        writer.write(image)
    writer.release()
    return path
