"""The six classic defects on a raster of copper, as they come in sets of real boards.

`visionedge.cameras.defects` makes them as clean polygons on known traces. Real ones, and those
that people draw into sets of real boards (arXiv:1902.06197), are strokes: solid or frayed into
strands, straight or a scribble, from three to thirty pixels, on pads and planes as well as on
traces. Here they are sought on the raster alone: an edge, the way across the copper from it, and
the way over the bare board to the next copper.

The truth box is the extent of the changed pixels plus a margin, as that set has it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.defects import DEFECT_LABELS

if TYPE_CHECKING:
    from collections.abc import Callable

_MARGIN_PX: Final = 10.0
_MIN_SIDE_PX: Final = 26.0
_FAR_PX: Final = 70
_TRIES: Final = 40
_MOST_BEYOND_PX: Final = 6
_HOLE_PX2: Final = 2_500

Points = NDArray[np.float64]
Raster = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """A mark of the pen: `cover` (h, w) bool, its upper left at (x, y)."""

    x: int
    y: int
    cover: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """A place on the edge of the copper: the point, the unit vector away from the copper, the
    copper's depth behind it, and the bare way before it; at most `_FAR_PX` each."""

    at: Points
    out: Points
    depth_px: float
    gap_px: float

    @property
    def along(self) -> Points:
        return np.array((-self.out[1], self.out[0]))


def spoil(
    rng: np.random.Generator, copper: Raster, count: int
) -> tuple[Raster, NDArray[np.float32], NDArray[np.int32]]:
    """Copper with up to `count` defects, each of a class by chance.

    Args:
        rng: Decides all.
        copper: (h, w) uint8, 255 where copper is.

    Returns:
        The copper; boxes (n, 4) float32, pixels; classes (n,) int32.
    """
    spoiler = _Spoiler(rng, copper)
    for _ in range(count):
        spoiler.place(int(rng.integers(len(DEFECT_LABELS))))
    boxes = np.array(spoiler.boxes, np.float32).reshape(-1, 4)
    return spoiler.copper, boxes, np.array(spoiler.classes, np.int32)


class _Spoiler:
    """Seeks places for defects on one raster. Distances are those of the sound copper."""

    def __init__(self, rng: np.random.Generator, copper: Raster) -> None:
        self.copper = copper.copy()
        self.boxes: list[NDArray[np.float64]] = []
        self.classes: list[int] = []
        self._rng = rng
        self._sound = copper > 0
        self._inside = _distance(copper)
        self._outside = _distance(255 - copper)
        soft = cv2.GaussianBlur(copper, (0, 0), 3.0).astype(np.float32)
        self._slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0)
        self._slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1)
        self._edges = np.flatnonzero((self._inside > 0) & (self._inside < 1.5))
        self._holes = _small_parts(copper == 0)
        self._makers: tuple[Callable[[], Stroke | None], ...] = (
            self._open, self._short, self._mousebite, self._spur, self._spurious, self._pin_hole,
        )  # fmt: skip

    def place(self, class_id: int) -> None:
        """Try to place one defect of the class."""
        adds = DEFECT_LABELS[class_id] in ("short", "spur", "spurious_copper")
        for _ in range(_TRIES):
            stroke = self._makers[class_id]()
            if stroke is not None and self._draw(stroke, class_id, adds):
                return

    def _draw(self, stroke: Stroke, class_id: int, adds: bool) -> bool:
        height, width = stroke.cover.shape
        here = slice(stroke.y, stroke.y + height), slice(stroke.x, stroke.x + width)
        patch = self.copper[here]
        if min(stroke.x, stroke.y) < 0 or patch.shape != stroke.cover.shape:
            return False
        changed = stroke.cover & ((patch == 0) if adds else (patch > 0))
        rows, columns = np.nonzero(changed)
        if len(rows) < 9:
            return False
        low = np.array((columns.min() + stroke.x, rows.min() + stroke.y), np.float64)
        high = np.array((columns.max() + stroke.x, rows.max() + stroke.y), np.float64) + 1
        centre = (low + high) / 2
        half = np.maximum((high - low) / 2 + _MARGIN_PX, _MIN_SIDE_PX / 2)
        box = np.concatenate((centre - half, centre + half))
        if not self._is_clear(box):
            return False
        patch[changed] = 255 if adds else 0
        self.boxes.append(box)
        self.classes.append(class_id)
        return True

    def _is_clear(self, box: NDArray[np.float64]) -> bool:
        height, width = self.copper.shape
        beyond = np.maximum(-box[:2], box[2:] - (width, height))
        if (beyond > _MOST_BEYOND_PX).any():
            return False
        return all(
            box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in self.boxes
        )

    def _edge(self) -> _Edge | None:
        if len(self._edges) == 0:
            return None
        index = int(self._edges[self._rng.integers(len(self._edges))])
        y, x = divmod(index, self.copper.shape[1])
        slope = np.array((self._slope_x[y, x], self._slope_y[y, x]), np.float64)
        steep = float(np.hypot(*slope))
        if steep < 8:
            return None
        at, out = np.array((x, y), np.float64), -slope / steep
        return _Edge(at, out, self._way(at, -out, True), self._way(at, out, False))

    def _way(self, at: Points, step: Points, through_copper: bool) -> float:
        """How far it goes from the edge through copper, or over bare board."""
        points = np.rint(at + np.outer(np.arange(2, _FAR_PX), step)).astype(int)
        height, width = self.copper.shape
        inside = ((points >= 0) & (points < (width, height))).all(axis=1)
        x, y = np.clip(points, 0, (width - 1, height - 1)).T
        ends = (self._sound[y, x] != through_copper) & inside
        return float(2 + np.argmax(ends)) if ends.any() else float(_FAR_PX)

    def _open(self) -> Stroke | None:
        """A cut right across the copper."""
        edge = self._edge()
        if edge is None or not 5 <= edge.depth_px < _FAR_PX * self._rng.random() ** 0.5:
            return None
        slant = edge.along * float(self._rng.normal(0, 0.3)) * edge.depth_px
        end = edge.at - edge.out * (edge.depth_px + 1) + slant
        stroke = self._line(edge.at + edge.out * 2 - slant, end, bend=0.12)
        return stroke if stroke and self._parts(stroke) else None

    def _parts(self, stroke: Stroke) -> bool:
        """Whether the cut leaves real copper on both sides of it, near by."""
        reach = 14
        x1, y1 = max(0, stroke.x - reach), max(0, stroke.y - reach)
        height, width = stroke.cover.shape
        window = self._sound[y1 : stroke.y + height + reach, x1 : stroke.x + width + reach].copy()
        before = _count_parts(window)
        whole = cv2.morphologyEx(
            stroke.cover.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)
        )
        top, left = stroke.y - y1, stroke.x - x1
        target = window[top : top + height, left : left + width]
        if target.shape != whole.shape:
            return False
        target[whole > 0] = False
        return _count_parts(window) > before

    def _short(self) -> Stroke | None:
        """A bridge to the next copper."""
        edge = self._edge()
        if edge is None or not 4 <= edge.gap_px < _FAR_PX * self._rng.random() ** 0.5:
            return None
        x, y = np.rint(edge.at + edge.out * 3).astype(int)
        if self._holes[y : y + 1, x : x + 1].any():
            return None
        slant = edge.along * float(self._rng.normal(0, 0.08)) * edge.gap_px
        return self._line(
            edge.at - edge.out * 2 - slant, edge.at + edge.out * (edge.gap_px + 2) + slant, bend=0.1
        )

    def _mousebite(self) -> Stroke | None:
        """A bite out of the edge that leaves the rest of the width."""
        edge = self._edge()
        if edge is None or edge.depth_px < 7:
            return None
        depth = min(float(self._rng.uniform(4, 15)), 0.65 * edge.depth_px)
        return self._from_edge(edge, -edge.out, depth)

    def _spur(self) -> Stroke | None:
        """A thorn that stays clear of the next copper."""
        edge = self._edge()
        if edge is None or edge.gap_px < 10:
            return None
        length = min(float(self._rng.uniform(4, 17)), edge.gap_px - 6)
        return self._from_edge(edge, edge.out, length)

    def _from_edge(self, edge: _Edge, way: Points, length: float) -> Stroke | None:
        rng, draw = self._rng, self._rng.random()
        lean = edge.along * float(rng.normal(0, 0.6))
        if draw < 0.15:
            return self._frayed_edge(edge, way, length)
        if draw < 0.35:
            blob = _blob(rng, max(3.0, length * 0.75)) * (1.0, float(rng.uniform(0.5, 1.0)))
            return _stroke([(edge.at + blob, 0)])
        tip = edge.at + (way + lean) * length
        return self._line(edge.at - way * 2, tip, bend=0.2)

    def _frayed_edge(self, edge: _Edge, way: Points, length: float) -> Stroke:
        """A run of small marks along the edge."""
        rng, marks = self._rng, []
        span = float(rng.uniform(8, 30))
        for _ in range(int(rng.integers(5, 14))):
            root = edge.at + edge.along * float(rng.uniform(-span, span)) - way
            tip = root + way * float(rng.uniform(0.3, 1.0)) * min(length, 9)
            marks.append((np.array((root, tip)), int(rng.integers(1, 5))))
        return _stroke(marks)

    def _spurious(self) -> Stroke | None:
        """An island of copper."""
        return self._island(self._outside)

    def _pin_hole(self) -> Stroke | None:
        """A hole in the copper."""
        return self._island(self._inside)

    def _island(self, room: NDArray[np.float32]) -> Stroke | None:
        """A blob, a disc or a scribble that touches no edge."""
        rng = self._rng
        places = np.flatnonzero(room > 6.5)
        if len(places) == 0:
            return None
        y, x = divmod(int(places[rng.integers(len(places))]), room.shape[1])
        size = min(float(np.exp(rng.uniform(np.log(3.0), np.log(17.0)))), float(room[y, x]) - 4)
        if size < 2.5:
            return None
        at, draw = np.array((x, y), np.float64), rng.random()
        if draw < 0.3:
            return _stroke([(at + _blob(rng, min(size, 10.0)), 0)])
        if draw < 0.36:
            return _stroke([(np.array((at, at)), round(1.6 * min(size, 12.0)))])
        thick = int(rng.integers(2, 6))
        if draw < 0.65:
            turn = float(rng.uniform(0, np.pi))
            arm = np.array((np.cos(turn), np.sin(turn))) * max(1.0, size - thick / 2)
            return self._line(at - arm, at + arm, bend=0.25)
        steps = rng.normal(0, size * 0.55, (int(rng.integers(3, 8)), 2))
        steps *= np.minimum(1.0, (size - 1) / np.maximum(np.hypot(*steps.T), 1e-6))[:, None]
        return _stroke([(at + steps, min(thick, 3))])

    def _line(self, start: Points, end: Points, bend: float) -> Stroke:
        """A pen's line: solid, or frayed into strands with gaps."""
        rng = self._rng
        length = float(np.hypot(*(end - start)))
        count = max(3, round(length / 6))
        shares = np.linspace(0, 1, count)[:, None]
        side = np.array((-(end - start)[1], (end - start)[0]))
        bow = np.sin(shares * np.pi) * float(rng.normal(0, bend))
        points = start + (end - start) * shares + side * bow
        points[1:-1] += rng.normal(0, 0.6, (count - 2, 2))
        if rng.random() < 0.55:
            return _stroke([(points, int(rng.integers(3, 9)))])
        spread, marks = float(rng.uniform(1.0, 3.5)), []
        for _ in range(int(rng.integers(2, 5))):
            strand = points + rng.normal(0, spread, 2) + rng.normal(0, 0.7, points.shape)
            strand[[0, -1]] = (strand[[0, -1]] + points[[0, -1]]) / 2
            for a, b in zip(strand[:-1], strand[1:], strict=True):
                if rng.random() < 0.88:
                    marks.append((np.array((a, b)), int(rng.integers(1, 3))))
        return _stroke(marks or [(points, 3)])


def _stroke(marks: list[tuple[Points, int]]) -> Stroke:
    """Draw lines of a thickness, or, where that is 0, filled outlines."""
    every = np.vstack([points for points, _ in marks])
    thickest = max(thick for _, thick in marks) // 2 + 3
    low = np.floor(every.min(axis=0)).astype(int) - thickest
    high = np.ceil(every.max(axis=0)).astype(int) + thickest + 1
    cover = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    for points, thick in marks:
        fixed = [np.round((points - low) * 16).astype(np.int32)]
        if thick == 0:
            cv2.fillPoly(cover, fixed, 255, cv2.LINE_8, 4)
        else:
            cv2.polylines(cover, fixed, False, 255, thick, cv2.LINE_8, 4)
    return Stroke(int(low[0]), int(low[1]), cover > 0)


def _distance(within: Raster) -> NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform(within, cv2.DIST_L2, 3), np.float32)


def _blob(rng: np.random.Generator, radius: float) -> Points:
    angles = np.arange(12) * (np.pi / 6)
    radii = radius * rng.uniform(0.7, 1.15, 12)
    return np.stack((np.cos(angles) * radii, np.sin(angles) * radii), axis=1)


def _small_parts(ground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pixels of bare board are of drills, and not of the board around the copper."""
    _, part, stats, _ = cv2.connectedComponentsWithStats(ground.astype(np.uint8))
    return np.asarray((stats[:, cv2.CC_STAT_AREA] < _HOLE_PX2)[part] & ground, np.bool_)


def _count_parts(copper: NDArray[np.bool_]) -> int:
    """Pieces of copper that are more than crumbs."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(copper.astype(np.uint8), connectivity=4)
    return int((stats[1:count, cv2.CC_STAT_AREA] >= 40).sum())
