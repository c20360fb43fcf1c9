"""The six classic defects of bare boards, as polygons that add copper or cut it away.

They are those of the public DeepPCB set (Tang et al., arXiv:1902.06197): open, short, mousebite,
spur, spurious copper, pin-hole. Each is sought a place where it is what its name says: a short
joins two nets, a spur stays clear of the next net, a pin-hole is inside copper, and none lies
under print or on exposed metal, where it could not be told.

The truth box is the extent of the changed copper plus a margin, as that set has it, at least
`MIN_SIDE_PX` long on its longer side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.board import BoardLayout, Trace
from visionedge.cameras.board_layers import BoardLayers

DEFECT_LABELS: Final = ("open", "short", "mousebite", "spur", "spurious_copper", "pin_hole")
MIN_SIDE_PX: Final = 20.0
_MARGIN_PX: Final = 6.0
_TRIES: Final = 60

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Defect:
    """One defect of one board, in pixels of the upright board.

    Attributes:
        class_id: Index into `DEFECT_LABELS`.
        polygon: (n, 2) float32, filled with copper if `adds_copper`, else cut out of it.
        adds_copper: See `polygon`.
        xyxy: The truth box.
    """

    class_id: int
    polygon: NDArray[np.float32]
    adds_copper: bool
    xyxy: tuple[float, float, float, float]


def place_defects(
    rng: np.random.Generator,
    layout: BoardLayout,
    layers: BoardLayers,
    count: int,
    class_ids: tuple[int, ...],
) -> tuple[Defect, ...]:
    """Place up to `count` defects, each of one of `class_ids` by chance, apart from each other.

    A class that finds no place on this board (a board without wide copper has none for a
    pin-hole) gives way to another of them; a full board takes fewer than asked.
    """
    finder = _Finder(rng, layout, layers)
    for _ in range(count):
        wished = rng.permutation(class_ids)
        if not any(finder.place(int(class_id)) for class_id in wished):
            break
    return tuple(finder.placed)


class _Finder:
    """Seeks places for defects on one board."""

    def __init__(self, rng: np.random.Generator, layout: BoardLayout, layers: BoardLayers) -> None:
        self.placed: list[Defect] = []
        self._rng = rng
        self._layers = layers
        self._pours = layout.pours
        self._sites = _Segments(layout.traces)
        self._distance: NDArray[np.float32] | None = None

    def _makers(self) -> tuple[Callable[[], Points | None], ...]:
        """By class. Not kept: methods hold their finder, and all its arrays in a circle."""
        return (
            self._open, self._short, self._mousebite, self._spur, self._spurious, self._pin_hole,
        )  # fmt: skip

    def place(self, class_id: int) -> bool:
        """Try to place one defect of the class; tell whether it was."""
        make = self._makers()[class_id]
        for _ in range(_TRIES):
            polygon = make()
            if polygon is None:
                continue
            adds = DEFECT_LABELS[class_id] in ("short", "spur", "spurious_copper")
            box = self._truth_box(polygon, adds)
            if box is not None and self._is_clear(polygon, box):
                self.placed.append(Defect(class_id, polygon.astype(np.float32), adds, box))
                return True
        return False

    def _truth_box(self, polygon: Points, adds: bool) -> tuple[float, float, float, float] | None:
        """The extent of what the polygon changes, plus the margin."""
        copper = self._layers.copper
        x, y = np.floor(polygon.min(axis=0)).astype(int) - 1
        right, bottom = np.ceil(polygon.max(axis=0)).astype(int) + 2
        if x < 0 or y < 0 or bottom > copper.shape[0] or right > copper.shape[1]:
            return None
        patch = copper[y:bottom, x:right]
        filled = np.zeros_like(patch)
        cv2.fillPoly(filled, [np.round((polygon - (x, y)) * 16).astype(np.int32)], 255, shift=4)
        rows, columns = np.nonzero((filled > 0) & ((patch < 128) if adds else (patch >= 128)))
        if len(rows) < 6:
            return None
        x1, x2, y1, y2 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        centre = np.array((x + (x1 + x2) / 2, y + (y1 + y2) / 2))
        half = np.array((x2 - x1, y2 - y1)) / 2 + _MARGIN_PX
        half *= max(1.0, MIN_SIDE_PX / 2 / float(half.max()))
        a, b = centre - half, centre + half
        return float(a[0]), float(a[1]), float(b[0]), float(b[1])

    def _is_clear(self, polygon: Points, box: tuple[float, float, float, float]) -> bool:
        keep = self._layers.keep_out
        x1, y1 = np.maximum(np.floor(polygon.min(axis=0)).astype(int) - 2, 0)
        x2, y2 = np.ceil(polygon.max(axis=0)).astype(int) + 3
        if keep[y1:y2, x1:x2].any():
            return False
        return all(
            box[2] + 4 < p.xyxy[0] or p.xyxy[2] + 4 < box[0]
            or box[3] + 4 < p.xyxy[1] or p.xyxy[3] + 4 < box[1]
            for p in self.placed
        )  # fmt: skip

    def _open(self) -> Points | None:
        """A ragged gap right across a trace."""
        at, along, normal, width = self._sites.pick(self._rng)
        gap = self._rng.uniform(3.5, 10.0) if width < 11 else self._rng.uniform(5.0, 12.0)
        half, slant = width * 0.5 + 1.6, self._rng.uniform(-0.35, 0.35) * width
        across = np.linspace(-half, half, 5)
        left = -gap * 0.5 + slant * across / half + self._rng.uniform(-1.0, 1.0, 5)
        right = gap * 0.5 + slant * across / half + self._rng.uniform(-1.0, 1.0, 5)
        edge = [at + along * a + normal * c for a, c in zip(left, across, strict=True)]
        back = [at + along * a + normal * c for a, c in zip(right, across, strict=True)]
        return np.array(edge + back[::-1])

    def _short(self) -> Points | None:
        """A bridge from a trace to the copper of another net beside it."""
        at, along, normal, width = self._sites.pick(self._rng)
        normal = normal * self._rng.choice((-1.0, 1.0))
        gap, other = self._gap(at, normal, width, 26.0)
        if not other or gap < 4.0:
            return None
        start = at + normal * (width * 0.5 - 1.5)
        end = at + normal * (width * 0.5 + gap + 1.5) + along * self._rng.uniform(-0.6, 0.6) * gap
        if self._net_at(end) in (0, self._net_at(at)):
            return None
        bend = (start + end) / 2 + along * self._rng.uniform(-2.5, 2.5)
        thick = self._rng.uniform(1.6, 3.4, 3) * (1.0, 0.85, 1.0)
        return _band(np.array((start, bend, end)), thick)

    def _mousebite(self) -> Points | None:
        """A bite out of one edge of a trace, leaving the rest of its width."""
        at, along, normal, width = self._sites.pick(self._rng)
        normal = normal * self._rng.choice((-1.0, 1.0))
        depth = min(float(self._rng.uniform(0.42, 0.72)) * width, 8.5)
        half = float(self._rng.uniform(2.8, 6.5)) + depth * 0.25
        edge = at + normal * width * 0.5
        angles = np.linspace(0, np.pi, 9)
        radii = self._rng.uniform(0.85, 1.12, 9)
        rim = [
            edge + along * np.cos(t) * half * r - normal * np.sin(t) * depth * min(r, 1.0)
            for t, r in zip(angles, radii, strict=True)
        ]
        outside = normal * 1.8
        return np.array([rim[0] + outside, *rim, rim[-1] + outside])

    def _spur(self) -> Points | None:
        """A thorn on the edge of a trace that ends clear of the next copper."""
        at, along, normal, width = self._sites.pick(self._rng)
        normal = normal * self._rng.choice((-1.0, 1.0))
        lean = along * self._rng.uniform(-0.7, 0.7)
        gap, other = self._gap(at, normal, width, 26.0)
        length = min(float(self._rng.uniform(5.0, 14.0)), gap - 4.0 if other else 14.0)
        if length < 4.5:
            return None
        base = float(self._rng.uniform(2.0, 3.6))
        start = at + normal * (width * 0.5 - 1.5)
        middle = start + (normal + lean * 0.4) * (length * 0.55 + 1.5)
        tip = start + (normal + lean) * (length + 1.5)
        polygon = _band(np.array((start, middle, tip)), np.array((base, base * 0.8, base * 0.45)))
        return polygon if self._meets_only(polygon, self._net_at(at)) else None

    def _spurious(self) -> Points | None:
        """An island of copper away from all other."""
        if self._distance is None:
            bare = (self._layers.copper < 40).astype(np.uint8)
            self._distance = cv2.distanceTransform(bare, cv2.DIST_L2, 3).astype(np.float32)
        height, width = self._distance.shape
        at: Points = self._rng.uniform((20, 20), (width - 20, height - 20))
        room = float(self._distance[int(at[1]), int(at[0])]) - 3.5
        if room < 3.6:
            return None
        size = min(room, float(self._rng.uniform(3.6, 8.5)))
        if self._rng.random() < 0.5:
            return at + _blob(self._rng, size)
        turn = float(self._rng.uniform(0, np.pi))
        arm = np.array((np.cos(turn), np.sin(turn))) * size * 0.75
        cross = np.array((-arm[1], arm[0])) * self._rng.uniform(-0.9, 0.9)
        return _band(np.array((at - arm, at + cross * 0.4, at + arm * 0.6 + cross)),
                     np.full(3, max(1.7, size * 0.3)))  # fmt: skip

    def _pin_hole(self) -> Points | None:
        """A small hole inside a wide trace or a pour."""
        if self._pours and self._rng.random() < 0.35:
            pour = self._pours[int(self._rng.integers(len(self._pours)))]
            low, high = pour.polygon.min(axis=0), pour.polygon.max(axis=0)
            at, largest = self._rng.uniform(low + 12, high - 12), 4.8
            along = np.array((1.0, 0.0))
        else:
            at, along, _, width = self._sites.pick(self._rng, min_width=11.0)
            largest = min(4.2, width * 0.5 - 2.6)
        if largest < 2.2:
            return None
        radius = float(self._rng.uniform(2.1, largest))
        hole = _blob(self._rng, radius)
        stretch = float(self._rng.uniform(1.0, 1.7))
        hole += np.outer(hole @ along, along) * (stretch - 1.0) + at
        return hole

    def _net_at(self, at: Points) -> int:
        height, width = self._layers.nets.shape
        x, y = round(float(at[0])), round(float(at[1]))
        return int(self._layers.nets[y, x]) if 0 <= x < width and 0 <= y < height else 0

    def _gap(self, at: Points, normal: Points, width: float, limit: float) -> tuple[float, bool]:
        """The free way from a trace's edge along `normal`, and whether other copper ends it."""
        steps = np.arange(width * 0.5 + 1.5, width * 0.5 + limit, 0.5)
        for step in steps:
            if self._net_at(at + normal * step) != 0:
                return float(step - width * 0.5), True
        return limit, False

    def _meets_only(self, polygon: Points, net: int) -> bool:
        x1, y1 = np.maximum(np.floor(polygon.min(axis=0)).astype(int) - 3, 0)
        x2, y2 = np.ceil(polygon.max(axis=0)).astype(int) + 4
        patch = self._layers.nets[y1:y2, x1:x2]
        filled = np.zeros(patch.shape, dtype=np.uint8)
        cv2.fillPoly(filled, [np.round(polygon - (x1, y1)).astype(np.int32)], 1)
        met = patch[cv2.dilate(filled, np.ones((5, 5), np.uint8)) > 0]
        return bool(((met == 0) | (met == net)).all())


class _Segments:
    """The straight runs of all traces, long enough to bear a defect away from their ends."""

    _INSET_PX = 9.0

    def __init__(self, traces: tuple[Trace, ...]) -> None:
        starts = np.concatenate([t.points[:-1] for t in traces]).astype(np.float64)
        ends = np.concatenate([t.points[1:] for t in traces]).astype(np.float64)
        self._widths = np.concatenate([np.full(len(t.points) - 1, t.width_px) for t in traces])
        self._lengths = np.hypot(*(ends - starts).T)
        self._starts = starts
        self._directions = (ends - starts) / self._lengths[:, None]
        self._weights = np.maximum(0.0, self._lengths - 2 * self._INSET_PX)

    def pick(
        self, rng: np.random.Generator, min_width: float = 0.0
    ) -> tuple[Points, Points, Points, float]:
        """A random place: the point, its unit vectors along and across, and the trace's width."""
        weights = np.where(self._widths >= min_width, self._weights, 0.0)
        ends = np.cumsum(weights)
        at = rng.uniform(0.0, max(float(ends[-1]), 1e-6))
        i = min(int(np.searchsorted(ends, at)), len(ends) - 1)
        along = self._directions[i]
        reach = rng.uniform(self._INSET_PX, max(self._INSET_PX, self._lengths[i] - self._INSET_PX))
        normal = np.array((-along[1], along[0]))
        return self._starts[i] + along * reach, along, normal, float(self._widths[i])


def _band(points: Points, half_widths: NDArray[np.float64]) -> Points:
    """A strip around three or more points, of varying width."""
    steps = np.gradient(points, axis=0)
    steps /= np.hypot(steps[:, :1], steps[:, 1:])
    normals = np.stack((-steps[:, 1], steps[:, 0]), axis=1) * half_widths[:, None]
    return np.vstack((points + normals, (points - normals)[::-1]))


def _blob(rng: np.random.Generator, radius: float) -> Points:
    """A rounded, irregular shape around the origin."""
    angles = np.arange(12) * (np.pi / 6)
    radii = radius * rng.uniform(0.78, 1.12, 12)
    return np.stack((np.cos(angles) * radii, np.sin(angles) * radii), axis=1)
