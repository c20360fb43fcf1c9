"""Judges of a feed's frames: is this one due, has anything moved, is the picture still alive."""

from typing import Final

import cv2
import numpy as np

from visionedge.entities import Image

_MOTION_GRID: Final = 480
"""Points across that are compared for motion: all that is 4 pixels wide in 1080p meets one."""
_GREEN: Final = 1
"""Channel that carries most of the brightness (0.7 of it, ITU-R BT.709)."""
_GRID: Final = 48
"""Points a side that are compared first: about 2,300 pixels, 20 microseconds."""


class RateGate:
    """Lets through at most `max_fps` frames a second, evenly. 0 lets through all.

    A frame may come up to half a period early, against a schedule that goes on evenly: so
    30 of 30 frames a second stay 30 with a camera that jitters, and 20 of 25 are 20.
    """

    def __init__(self, max_fps: float) -> None:
        self._period_ns = round(1e9 / max_fps) if max_fps else 0
        self._due_ns: int | None = None

    def admits(self, now_ns: int) -> bool:
        """True if a frame captured now is due."""
        if not self._period_ns:
            return True
        early_ns = self._period_ns // 2
        if self._due_ns is None:
            self._due_ns = now_ns
        if now_ns < self._due_ns - early_ns:
            return False
        self._due_ns = max(self._due_ns, now_ns - early_ns) + self._period_ns
        return True


class MotionGate:
    """Lets a frame through when it differs from the last one that was let through.

    Compared with that one and not with the frame before, so that a slow change adds up until
    it shows. Points are compared one by one, not averaged, so that a small thing that moves
    counts as much in a large frame; noise of the sensor stays below the level. Costs 0.3 ms
    for 1080p.

    Args:
        level: how much the brightness of a point must change, 0..255.
        share: of the points that must have changed, 0..1.
        at_least_every_s: after so long a frame is let through in any case.
    """

    def __init__(self, level: int, share: float, at_least_every_s: float) -> None:
        self._level = level
        self._share = share
        self._patience_ns = round(at_least_every_s * 1e9)
        self._last: Image | None = None
        self._last_ns = 0

    def admits(self, image: Image, now_ns: int) -> bool:
        """True if something has changed, or it is time.

        Args:
            image: (H, W, 3) uint8 BGR.
            now_ns: when it was captured.
        """
        step = max(1, image.shape[1] // _MOTION_GRID)
        points = np.ascontiguousarray(image[::step, ::step, _GREEN])
        is_time = now_ns - self._last_ns >= self._patience_ns
        if self._last is not None and not is_time and not self._moved(self._last, points):
            return False
        self._last, self._last_ns = points, now_ns
        return True

    def _moved(self, before: Image, points: Image) -> bool:
        if before.shape != points.shape:
            return True
        changed = np.count_nonzero(cv2.absdiff(before, points) > self._level)
        return bool(changed > self._share * points.size)


class StillWatch:
    """Finds a picture that has not changed by a single byte for too long.

    A sensor has noise, so a camera that sends the very same bytes is not looking any more:
    its encoder hangs, or something between repeats the last frame. Each frame is compared
    with those before on a sparse grid; only before the verdict is it compared
    whole, so a small thing that moves between the points is no false alarm. The time counts
    from the second frame, the first that is kept whole: one of 1080p has 6 MB, which a camera
    that sends no frame twice need not hold.

    What it remembers survives a reopening: a camera that still shows the same picture is
    not back.
    """

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_ns = round(stale_after_s * 1e9)
        self._points: Image | None = None
        self._whole: Image | None = None
        self._since_ns = 0

    def frozen(self, image: Image, now_ns: int) -> bool:
        """True if the picture has been the same for longer than `stale_after_s`."""
        points = _grid(image)
        if self._points is None or not _same(self._points, points):
            self._points, self._whole = points.copy(), None
            return False
        if self._whole is None:
            self._whole, self._since_ns = image, now_ns
        if now_ns - self._since_ns <= self._stale_after_ns:
            return False
        if _same(self._whole, image):
            return True
        self._whole, self._since_ns = image, now_ns
        return False


def _grid(image: Image) -> Image:
    height, width = image.shape[:2]
    return image[:: max(1, height // _GRID), :: max(1, width // _GRID)]


def _same(one: Image, other: Image) -> bool:
    return np.array_equal(one, other)
