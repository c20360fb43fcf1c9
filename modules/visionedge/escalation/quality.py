"""Whether the picture itself is at fault: too dark, over-exposed, or out of focus.

A model that is shown nothing useful doubts everything, and a second opinion cannot see more. So
a bad picture is a fault of the camera, reported once when it comes and once when it goes, and
doubt about it is not sent. A picture that stands still is found by the feed, which reopens.

Dark and over-exposed are absolute. Sharpness is not: a bare belt has little to be sharp about,
so it is compared with what the same camera has shown before. A camera that was never in focus
is not found, nor one that gets dusty over months.

A picture is looked at once a second, and a fault is believed when it has been there for a
number of looks in a row, so that a hand before the lens is none.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

import cv2
import numpy as np

from visionedge.entities import Frame, Image

Fault = Literal["", "dark", "over_exposed", "blurred"]
FAULTS: Final[tuple[Fault, ...]] = ("dark", "over_exposed", "blurred")
_EVERY_NS: Final = 1_000_000_000
_LOOKS: Final = 5
_STRIDE_PX: Final = 4
_DARK_LEVEL: Final = 32
"""Of 255: where all but a hundredth of the pixels are below it there is nothing to see."""
_LEAST_LIT: Final = 0.01
_BRIGHT_LEVEL: Final = 250
_MOST_BRIGHT: Final = 0.5
_BLURRED: Final = 0.1
"""Of the sharpness that the camera usually has; defocus by three pixels leaves a twentieth."""
_REMEMBERED: Final = 300
_LEARNED: Final = 20
"""Looks before sharpness is judged at all."""


@dataclass(slots=True)
class PictureWatch:
    """Watches one camera. Not safe for threads: its owner locks.

    Attributes:
        fault: what is believed now; empty for none.
    """

    fault: Fault = ""
    _suspect: Fault = ""
    _looks: int = 0
    _next_ns: int | None = None
    _sharpness: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def look(self, frame: Frame) -> bool:
        """Look at a frame if it is time to; True if `fault` has changed."""
        if self._next_ns is not None and frame.captured_ns < self._next_ns:
            return False
        self._next_ns = frame.captured_ns + _EVERY_NS
        seen = self._judge(frame.image)
        self._looks = self._looks + 1 if seen == self._suspect else 1
        self._suspect = seen
        if seen == self.fault or self._looks < _LOOKS:
            return False
        self.fault = seen
        return True

    def _judge(self, image: Image) -> Fault:
        if not image.size:
            return "dark"
        sparse = image[::_STRIDE_PX, ::_STRIDE_PX, 1]
        if (sparse >= _DARK_LEVEL).mean() < _LEAST_LIT:
            return "dark"
        if (sparse >= _BRIGHT_LEVEL).mean() > _MOST_BRIGHT:
            return "over_exposed"
        sharpness = sharpness_of(image)
        if len(self._sharpness) >= _LEARNED:
            usual = float(np.median(self._sharpness))
            if sharpness < _BLURRED * usual:
                # Not learned from: else a camera would get used to being blurred.
                return "blurred"
        self._sharpness.append(sharpness)
        return ""


def sharpness_of(image: Image) -> float:
    """Variance of the Laplacian of one channel of the middle of the picture."""
    height, width = image.shape[:2]
    middle = image[height // 4 : height - height // 4, width // 4 : width - width // 4]
    # Whole numbers that fit, and no array beside: every camera has a late frame a second by it.
    edges = cv2.Laplacian(cv2.extractChannel(middle, 1), cv2.CV_16S)
    _, deviation = cv2.meanStdDev(edges)
    return float(deviation[0, 0]) ** 2
