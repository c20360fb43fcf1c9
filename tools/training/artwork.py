"""Copper artwork as a photo tool draws it: pads, pours, drills, and traces between them, in black
and white.

The virtual line draws a whole board, small. A scanner that inspects etched boards sees a few
millimetres of one, large: traces of ten to forty pixels, planes wider than the picture, drills.
So this is a second, freer designer, on a raster and not as geometry: whatever it draws is legal
by the distance to what is drawn already, and a net is what hangs together.

Not promised: electrical sense, or that no two shapes come near. They never come nearer than
`_LEAST_GAP_PX`, so that a bridge is not drawn by chance.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.board_clearance import offset_polyline, prefix

CANVAS_PX: Final = 720
"""Larger than the picture that is cut from it, so that nothing ends at its rim."""
_LEAST_GAP_PX: Final = 6.0
_STEP_PX: Final = 3.0
_HEADINGS: Final = np.array(
    [(np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)) for k in range(8)], dtype=np.float64
)

Points = NDArray[np.float64]
Raster = NDArray[np.uint8]


def draw_artwork(rng: np.random.Generator) -> Raster:
    """Draw one piece of artwork: (720, 720) uint8, 255 where copper stays."""
    return _Artist(rng).draw()


class _Artist:
    """Draws one piece; holds the copper so far, and its drills (x, y, radius, reach: a slot is a
    disc drawn out to both sides), which are cut out last."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._copper = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
        self._drills: list[tuple[int, int, int, int]] = []
        self._trace_px = float(np.exp(rng.uniform(np.log(8.0), np.log(36.0))))
        self._gap_px = max(_LEAST_GAP_PX, self._trace_px * float(rng.uniform(0.5, 1.4)))
        self._corner = int(rng.integers(0, 3))
        self._starts: list[tuple[float, float, float]] = []

    def draw(self) -> Raster:
        rng = self._rng
        for _ in range(int(rng.integers(0, 9))):
            self._pour()
        for _ in range(int(rng.integers(2, 10))):
            self._pads()
        for _ in range(int(rng.integers(2, 8))):
            self._bundle()
        for x, y, reach in self._starts:
            if rng.random() < 0.75:
                self._trace(np.array((x, y)), int(rng.integers(8)), self._width(), reach)
        if rng.random() < 0.25:
            self._flood()
        if rng.random() < 0.12:
            self._letters()
        self._bore()
        return self._copper

    def _width(self) -> float:
        return self._trace_px * float(self._rng.choice((1.0, 1.0, 1.0, 1.6, 2.4)))

    def _room(self) -> NDArray[np.float32]:
        """Of each pixel, the distance to the copper drawn so far."""
        room = cv2.distanceTransform(255 - self._copper, cv2.DIST_L2, 3)
        return np.asarray(room, np.float32)

    def _add(self, shape: Raster) -> bool:
        """Add a shape, if it keeps its distance."""
        within = shape > 0
        if self._room()[within].min(initial=1e6) < self._gap_px:
            return False
        self._copper[within] = 255
        return True

    def _pour(self) -> None:
        """A plane with cut corners; drills in it, if it is wide enough."""
        rng = self._rng
        half = np.exp(rng.uniform(np.log(22.0), np.log(210.0), 2))
        centre = rng.uniform(0, CANVAS_PX, 2)
        cuts = rng.uniform(0.0, 0.7, 4) * half.min() * (rng.random(4) < 0.6)
        corners: list[tuple[float, float]] = []
        for (sx, sy), cut in zip(((-1, -1), (1, -1), (1, 1), (-1, 1)), cuts, strict=True):
            flat = (sx * (half[0] - cut), sy * half[1])
            steep = (sx * half[0], sy * (half[1] - cut))
            corners += [steep, flat] if sx * sy > 0 else [flat, steep]
        shape = np.zeros_like(self._copper)
        cv2.fillPoly(shape, [np.round(np.array(corners) + centre).astype(np.int32)], 255)
        if not self._add(shape):
            return
        for _ in range(int(rng.integers(0, 5))):
            at = centre + rng.uniform(-0.8, 0.8, 2) * half
            self._drill(at, float(rng.uniform(5, 18)))
        for _ in range(int(rng.integers(0, 4))):
            at = centre + rng.uniform(-0.6, 0.6, 2) * half
            self._starts.append((float(at[0]), float(at[1]), float(half.max()) * 1.6))

    def _drill(self, at: Points, radius: float) -> None:
        x, y = round(float(at[0])), round(float(at[1]))
        is_slot = self._rng.random() < 0.15
        reach = radius * float(self._rng.uniform(0.5, 1.5)) if is_slot else 0.0
        self._drills.append((x, y, round(radius), round(reach)))

    def _bore(self) -> None:
        """Cut the drills, each where a rim of copper stays around it."""
        for x, y, radius, reach in self._drills:
            inside = 0 <= x < CANVAS_PX and 0 <= y < CANVAS_PX
            depth = cv2.distanceTransform(self._copper, cv2.DIST_L2, 3)
            if inside and depth[y, x] > radius + reach + 3:
                cv2.line(self._copper, (x, y - reach), (x, y + reach), 0, 2 * radius)

    def _pads(self) -> None:
        """A row of pads of one kind."""
        rng = self._rng
        wide, high = np.exp(rng.uniform(np.log(9.0), np.log(40.0), 2))
        kind = int(rng.integers(4))
        count = int(rng.choice((1, 2, 2, 3, 4, 6, 8)))
        pitch = 2 * max(wide, high) + self._gap_px * float(rng.uniform(1.1, 3.0))
        at, step = rng.uniform(20, CANVAS_PX - 20, 2), _HEADINGS[2 * int(rng.integers(2))] * pitch
        is_drilled = kind in (1, 3) and rng.random() < 0.8
        for number in range(count):
            centre = at + step * number
            size = (min(wide, high),) * 2 if kind in (1, 3) else (wide, high)
            shape = self._pad_shape(centre, size, kind)
            if not shape.any() or not self._add(shape):
                continue
            if is_drilled:
                self._drill(centre, size[0] * float(rng.uniform(0.3, 0.6)))
            self._starts.append((float(centre[0]), float(centre[1]), 1.5 * max(size)))

    def _pad_shape(self, centre: Points, half: tuple[float, float], kind: int) -> Raster:
        """0 rectangle, 1 disc, 2 oval or rounded, 3 octagon."""
        shape = np.zeros_like(self._copper)
        (x, y), (a, b) = (round(float(c)) for c in centre), (round(h) for h in half)
        if kind == 1:
            cv2.circle(shape, (x, y), a, 255, -1)
        elif kind == 3:
            turns = np.arange(8) * np.pi / 4 + np.pi / 8
            ring = np.stack((np.cos(turns), np.sin(turns)), axis=1) * a * 1.08
            cv2.fillPoly(shape, [np.round(ring + centre).astype(np.int32)], 255)
        elif kind == 2:
            radius = round(min(a, b) * 0.6)
            inner = max(0, a - radius), max(0, b - radius)
            cv2.rectangle(
                shape, (x - inner[0], y - inner[1]), (x + inner[0], y + inner[1]), 255, -1
            )
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
            return np.asarray(cv2.dilate(shape, disc), np.uint8)
        else:
            cv2.rectangle(shape, (x - a, y - b), (x + a, y + b), 255, -1)
        return shape

    def _path(self, start: Points, heading: int) -> Points:
        """A way of 45 degree turns that leaves the canvas."""
        rng, points, at = self._rng, [start], start
        for _ in range(int(rng.integers(1, 7))):
            at = at + _HEADINGS[heading % 8] * float(rng.uniform(40, 260))
            points.append(at)
            heading += int(rng.choice((-1, 1)))
        return np.array([*points, at + _HEADINGS[heading % 8] * CANVAS_PX])

    def _bundle(self) -> None:
        """Neighbouring traces, side by side."""
        rng = self._rng
        count = int(rng.choice((1, 1, 2, 3, 4, 6, 9, 14)))
        width, gap = self._width() if count < 4 else self._trace_px, self._gap_px
        heading = int(rng.integers(8))
        start = CANVAS_PX / 2 + rng.uniform(-300, 300, 2) - _HEADINGS[heading] * 420
        spine, room = self._path(start, heading), self._room()
        for number in range(count):
            offset = (number - (count - 1) / 2) * (width + gap)
            self._lay(offset_polyline(spine, offset), width, room, 0.0)

    def _trace(self, start: Points, heading: int, width: float, own_px: float) -> None:
        """One trace from a pad or a plane, which ends `own_px` from there at the latest."""
        self._lay(self._path(start, heading), width, self._room(), own_px)

    def _lay(self, path: Points, width: float, room: NDArray[np.float32], own_px: float) -> None:
        """Lay a trace up to what is in its way: end in a pad before it, or run into it."""
        samples = _samples(path)
        inside = ((samples >= 0) & (samples < CANVAS_PX)).all(axis=1)
        x, y = np.clip(np.rint(samples).astype(int), 0, CANVAS_PX - 1).T
        free = np.where(inside, room[y, x], 1e6)
        first = int(np.argmax(free > width / 2 + self._gap_px))
        if own_px == 0 and first > 0:
            first = int(np.flatnonzero(inside)[0]) if inside.any() else 0
        elif first * _STEP_PX > own_px:
            return
        blocked = np.flatnonzero(free[first:] < width / 2 + self._gap_px)
        end = len(samples) if len(blocked) == 0 else first + int(blocked[0]) - 1
        if (end - first) * _STEP_PX < 2.5 * width + 20:
            return
        joins = end < len(samples) and self._rng.random() < 0.4
        if joins:
            met = np.flatnonzero(free[end:] <= 0)
            joins = len(met) > 0 and met[0] * _STEP_PX < width + 2.5 * self._gap_px
            end += int(met[0]) + 1 if joins else 0
        self._stroke(prefix(path, end * _STEP_PX), width, end < len(samples) and not joins)

    def _stroke(self, line: Points, width: float, has_end: bool) -> None:
        fixed = [np.round(line * 16).astype(np.int32)]
        cv2.polylines(self._copper, fixed, False, 255, max(1, round(width)), cv2.LINE_8, 4)
        if not has_end or self._rng.random() < 0.25:
            return
        radius = width * float(self._rng.uniform(0.55, 1.0))
        x, y = (round(float(c)) for c in line[-1] - _unit(line[-1] - line[-2]) * radius)
        cv2.circle(self._copper, (x, y), round(radius), 255, -1)
        if radius > 9 and self._rng.random() < 0.6:
            self._drill(np.array((x, y)), radius * float(self._rng.uniform(0.3, 0.55)))

    def _flood(self) -> None:
        """A ground plane over all that is still free."""
        gap = float(self._rng.uniform(8, 24))
        self._copper[self._room() > gap] = 255

    def _letters(self) -> None:
        """A word in copper, turned any way."""
        rng, shape = self._rng, np.zeros_like(self._copper)
        word = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUX0123456789"), int(rng.integers(1, 7))))
        at = tuple(int(c) for c in rng.integers(30, CANVAS_PX - 200, 2))
        scale, thick = float(rng.uniform(1.0, 2.4)), int(rng.integers(3, 7))
        cv2.putText(shape, word, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick)
        self._add(np.ascontiguousarray(np.rot90(shape, int(rng.integers(4)))))


def _unit(vector: Points) -> Points:
    return vector / max(1e-6, float(np.hypot(*vector)))


def _samples(path: Points) -> Points:
    lengths = np.hypot(*np.diff(path, axis=0).T)
    ends = np.concatenate(([0.0], np.cumsum(lengths)))
    at = np.arange(0.0, ends[-1], _STEP_PX)
    return np.stack((np.interp(at, ends, path[:, 0]), np.interp(at, ends, path[:, 1])), axis=1)
