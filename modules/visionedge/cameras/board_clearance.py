"""Clearances of a board layout: what is taken, and how far a new trace may go.

A byte raster counts, for every pixel, the shapes in whose widened zone it lies. The zone of a shape
is its copper, plus the clearance, plus half the width of an ordinary trace: so the legality of a
trace is a look-up along its centre line, and needs no geometry between pairs of shapes.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

_STEP_PX = 2.0
_BORDER_PX = 16
_ANGLES = np.arange(12) * (np.pi / 6)
_RING = np.stack((np.cos(_ANGLES), np.sin(_ANGLES)), axis=1)


class Clearance:
    """The reserved zones of one board of `width` x `height` pixels."""

    def __init__(self, width: int, height: int, clear_px: float, trace_px: float) -> None:
        self._grow = clear_px + trace_px * 0.5
        self._trace_px = trace_px
        self._taken = np.zeros((height, width), dtype=np.uint8)
        self._scratch = np.zeros((height, width), dtype=np.uint8)
        self._taken[:_BORDER_PX] = self._taken[-_BORDER_PX:] = 1
        self._taken[:, :_BORDER_PX] = self._taken[:, -_BORDER_PX:] = 1

    def reserve_box(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Reserve a rectangle."""
        self._stamp_box(x1, y1, x2, y2, 1)

    def reserve_pad(self, x: float, y: float, width: float, height: float) -> None:
        """Reserve a pad around (x, y)."""
        self._stamp_box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, 1)

    def reserve_disc(self, x: float, y: float, radius: float) -> None:
        """Reserve a disc."""
        self._scratch[:] = 0
        centre = (round(x * 16), round(y * 16))
        cv2.circle(self._scratch, centre, round((radius + self._grow) * 16), 1, -1, cv2.LINE_8, 4)
        self._taken += self._scratch

    def reserve_line(self, points: NDArray[np.float64], width: float) -> None:
        """Reserve a trace along `points` ((n, 2) float64)."""
        self._scratch[:] = 0
        fixed = [np.round(points * 16).astype(np.int32)]
        thick = int(np.ceil(width + 2 * self._grow)) - 1
        cv2.polylines(self._scratch, fixed, False, 1, thick, cv2.LINE_8, 4)
        self._taken += self._scratch

    def free_point(self, rng: np.random.Generator, tries: int = 8) -> tuple[float, float] | None:
        """A random place that nothing has reserved, if one is soon found."""
        height, width = self._taken.shape
        for x, y in zip(rng.integers(width, size=tries), rng.integers(height, size=tries),
                        strict=True):  # fmt: skip
            if not self._taken[y, x]:
                return float(x), float(y)
        return None

    def is_box_free(self, x1: float, y1: float, x2: float, y2: float) -> bool:
        """Tell whether nothing reserved reaches into the rectangle, nor the rectangle out."""
        height, width = self._taken.shape
        if x1 < 0 or y1 < 0 or x2 >= width or y2 >= height:
            return False
        return not self._taken[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].any()

    def legal_length(
        self,
        points: NDArray[np.float64],
        width: float,
        end_radius: float,
        own_pad: tuple[float, float, float, float] | None,
        shortest: float,
    ) -> float:
        """How far a trace may follow `points`, with a via of `end_radius` at its end, in pixels.

        Args:
            points: (n, 2) float64, the centre line wished for.
            width: Of the trace.
            end_radius: Of the via at the end (and at the beginning, without a pad of its own).
            own_pad: (x, y, width, height) of the pad where it begins; it may overlap that one.
            shortest: The least length of use.

        Returns:
            The length, or 0 where it would be less than `shortest`.
        """
        if own_pad is None:
            if not self._is_via_free(points[0], end_radius):
                return 0.0
            return self._reach(points, width, end_radius, shortest)
        x, y, w, h = own_pad
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        self._stamp_box(*box, -1)
        length = self._reach(points, width, end_radius, shortest)
        self._stamp_box(*box, 1)
        return length

    def _stamp_box(self, x1: float, y1: float, x2: float, y2: float, sign: int) -> None:
        height, width = self._taken.shape
        left, right = (max(0, round(x1 - self._grow)), min(width, round(x2 + self._grow)))
        top, bottom = (max(0, round(y1 - self._grow)), min(height, round(y2 + self._grow)))
        zone = self._taken[top:bottom, left:right]
        if sign > 0:
            zone += 1
        else:
            zone -= 1

    def _free_along(self, points: NDArray[np.float64], width: float) -> int:
        """Count the samples before the first that is taken, on the centre and both edges."""
        side = max(0.0, (width - self._trace_px) * 0.5)
        lines = [points] if side == 0 else [offset_polyline(points, o) for o in (-side, 0.0, side)]
        return min(self._first_taken(line) for line in lines)

    def _first_taken(self, points: NDArray[np.float64]) -> int:
        samples = _samples(points)
        taken = self._at(samples)
        return int(np.argmax(taken)) if taken.any() else len(samples) - 1

    def _at(self, samples: NDArray[np.float64]) -> NDArray[np.bool_]:
        height, width = self._taken.shape
        x = np.rint(samples[:, 0]).astype(np.intp)
        y = np.rint(samples[:, 1]).astype(np.intp)
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        taken = np.ones(len(samples), dtype=np.bool_)
        taken[inside] = self._taken[y[inside], x[inside]] > 0
        return taken

    def _is_via_free(self, centre: NDArray[np.float64], radius: float) -> bool:
        # A via may come nearer to a trace than a trace may, as on real boards: by two pixels.
        reach = max(0.0, radius - self._trace_px * 0.5 - 2.0)
        return not bool(self._at(centre + reach * _RING).any())

    def _reach(
        self, points: NDArray[np.float64], width: float, radius: float, shortest: float
    ) -> float:
        """Go to the first thing in the way, then back until a via has room."""
        length = _STEP_PX * self._free_along(points, width)
        while length >= shortest:
            if self._is_via_free(prefix(points, length)[-1], radius):
                return length
            length -= 5.0
        return 0.0


def offset_polyline(points: NDArray[np.float64], offset: float) -> NDArray[np.float64]:
    """Shift an open polyline sideways by `offset` pixels, keeping its corners sharp."""
    if offset == 0 or len(points) < 2:
        return points.copy()
    steps = np.diff(points, axis=0)
    directions = steps / np.hypot(steps[:, :1], steps[:, 1:])
    normals = np.stack((-directions[:, 1], directions[:, 0]), axis=1)
    before, after = np.vstack((normals[:1], normals)), np.vstack((normals, normals[-1:]))
    mitre = (before + after) / (1.0 + (before * after).sum(axis=1, keepdims=True))
    shifted: NDArray[np.float64] = points + mitre * offset
    return shifted


def prefix(points: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """The first `length` pixels of a polyline."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    ends = np.cumsum(lengths)
    leg = int(np.searchsorted(ends, length))
    if leg >= len(lengths):
        return points.copy()
    share = (length - (ends[leg] - lengths[leg])) / lengths[leg]
    tip = points[leg] + (points[leg + 1] - points[leg]) * share
    return np.vstack((points[: leg + 1], tip))


def _samples(points: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.hypot(*np.diff(points, axis=0).T)
    ends = np.concatenate(([0.0], np.cumsum(lengths)))
    at = np.arange(0.0, ends[-1], _STEP_PX)
    return np.stack((np.interp(at, ends, points[:, 0]), np.interp(at, ends, points[:, 1])), axis=1)
