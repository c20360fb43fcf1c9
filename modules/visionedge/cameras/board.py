"""The layout of one printed circuit board: traces, pads, vias, pours, and marks, as geometry.

A layout is drawn once a production lot and is a pure function of its random generator. Copper is
placed by a raster of clearances: each shape reserves itself, widened by the clearance and by half
a trace, so that a new centre line is legal where nothing is reserved. Clean copper can therefore
never touch, cut or nearly touch by chance, and every trace ends in a pad or a via: what looks like
a defect on the virtual line is one, and is in its ground truth.

Not promised: electrical sense. Nets are drawn for their looks. All coordinates are pixels of the
upright board, at the scale of a 720 line frame.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.board_clearance import Clearance, offset_polyline, prefix

_HEADINGS: Final = np.array(
    [(np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)) for k in range(8)], dtype=np.float64
)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A strip of copper under the mask along `points` ((n, 2) float32), `width_px` wide."""

    points: NDArray[np.float32]
    width_px: float
    net: int


@dataclass(frozen=True, slots=True)
class Pad:
    """Exposed metal: a rectangle or an ellipse around (x, y), drilled if `drill_px` (radius)."""

    x: float
    y: float
    width_px: float
    height_px: float
    net: int
    is_round: bool = False
    drill_px: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Pour:
    """An area of copper under the mask: a convex polygon, (n, 2) float32."""

    polygon: NDArray[np.float32]
    net: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A silkscreen rectangle."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Text:
    """A silkscreen text with its baseline beginning at (x, y)."""

    text: str
    x: float
    y: float
    scale: float = 0.4


@dataclass(frozen=True, slots=True)
class BoardLayout:
    """All shapes of one board design."""

    width_px: int
    height_px: int
    traces: tuple[Trace, ...]
    pads: tuple[Pad, ...]
    pours: tuple[Pour, ...]
    outlines: tuple[Outline, ...]
    texts: tuple[Text, ...]
    fiducials: tuple[tuple[float, float], ...]
    mounting_holes: tuple[tuple[float, float], ...]
    serial_at: tuple[float, float]


def draw_layout(rng: np.random.Generator) -> BoardLayout:
    """Draw a new board design from the generator, in a few milliseconds."""
    return _Designer(rng).design()


class _Designer:
    """Places one board's shapes; holds what is placed so far."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._width = int(rng.integers(500, 631))
        self._height = int(rng.integers(430, 541))
        self._trace_px = float(rng.choice((6.0, 6.5, 7.0, 7.5, 8.0)))
        self._pitch = round(2.0 * self._trace_px + float(rng.uniform(2.0, 4.0)))
        clear_px = self._pitch - self._trace_px - 2.0
        self._clearance = Clearance(self._width, self._height, clear_px, self._trace_px)
        self._via_px = self._trace_px * 0.5 + 3.5
        self._traces: list[Trace] = []
        self._pads: list[Pad] = []
        self._pours: list[Pour] = []
        self._outlines: list[Outline] = []
        self._texts: list[Text] = []
        self._sides: list[tuple[list[Pad], int]] = []
        self._nets = 0
        self._counts = {"U": 0, "J": 0, "R": 0, "C": 0}

    def design(self) -> BoardLayout:
        """Place the large things first, then route, then fill what is left."""
        rng = self._rng
        holes = self._corner_marks(22.0)
        for x, y in holes:
            self._clearance.reserve_disc(x, y, 16.0)
        fiducials = self._fiducials()
        serial_at = self._reserve_serial()
        self._place_header()
        for _ in range(int(rng.integers(2, 5))):
            self._place_chip()
        for _ in range(int(rng.integers(1, 4))):
            self._place_pour()
        for _ in range(int(rng.integers(4, 9))):
            self._place_power()
        self._route_sides()
        for _ in range(int(rng.integers(90, 140))):
            self._place_bundle()
        for _ in range(int(rng.integers(20, 50))):
            self._place_passive()
        return BoardLayout(
            self._width, self._height, tuple(self._traces), tuple(self._pads), tuple(self._pours),
            tuple(self._outlines), tuple(self._texts), fiducials, holes, serial_at,
        )  # fmt: skip

    def _next_net(self) -> int:
        self._nets += 1
        return self._nets

    def _name(self, letter: str) -> str:
        self._counts[letter] += 1
        return f"{letter}{self._counts[letter]}"

    def _corner_marks(self, inset: float) -> tuple[tuple[float, float], ...]:
        right, bottom = self._width - inset, self._height - inset
        return (inset, inset), (right, inset), (inset, bottom), (right, bottom)

    def _fiducials(self) -> tuple[tuple[float, float], ...]:
        corners = ((58.0, 20.0), (self._width - 58.0, self._height - 20.0), (20.0, 62.0))
        for x, y in corners:
            self._clearance.reserve_disc(x, y, 12.0)
        return corners

    def _reserve_serial(self) -> tuple[float, float]:
        x = float(self._rng.integers(60, self._width - 290))
        y = self._height - 42.0 if self._rng.random() < 0.7 else 12.0
        self._clearance.reserve_box(x - 4, y - 2, x + 214, y + 32)
        return x, y

    def _add_pads(self, pads: list[Pad]) -> None:
        self._pads.extend(pads)
        for pad in pads:
            self._clearance.reserve_pad(pad.x, pad.y, pad.width_px, pad.height_px)

    def _place_header(self) -> None:
        """A row of drilled pins along the top or the left edge."""
        rng, pitch = self._rng, self._pitch * 1.75
        count, along_x = int(rng.integers(5, 12)), rng.random() < 0.6
        span = pitch * (count - 1)
        room = (self._width if along_x else self._height) - 150
        count, span = (count, span) if span < room else (5, pitch * 4)
        start = 75 + float(rng.uniform(0, max(1.0, room - span)))
        inset = 54.0 if along_x else 40.0
        centres = [(start + i * pitch, inset) for i in range(count)]
        if not along_x:
            centres = [(y, x) for x, y in centres]
        size = self._pitch * 1.15
        pads = [
            Pad(x, y, size, size, self._next_net(), i > 0, size * 0.27)
            for i, (x, y) in enumerate(centres)
        ]
        self._add_pads(pads)
        (x1, y1), (x2, y2) = centres[0], centres[-1]
        self._outlines.append(Outline(x1 - size, y1 - size, x2 + size, y2 + size))
        self._sides.append((pads, 2 if along_x else 0))
        self._texts.append(Text(self._name("J"), x2 + size + 4, y2 + 5))

    def _place_chip(self) -> None:
        """A chip with pads on two sides, or on four."""
        rng, pitch = self._rng, self._pitch
        four = rng.random() < 0.5
        turned = not four and rng.random() < 0.5
        count = int(rng.integers(5, 10)) if four else int(rng.integers(4, 11))
        length = pitch * (count - 1) * 0.5
        across = length + pitch * 1.8 if four else float(rng.uniform(2.2, 3.4)) * pitch
        pad_long, pad_short = pitch * 1.35, self._trace_px + 1.5
        half = max(across + pad_long * 0.5, length if not four else 0.0)
        spot = self._free_spot(half + pitch * 1.4, half + pitch * 1.4)
        if spot is None:
            return
        x, y = spot
        steps = [(i - (count - 1) / 2) * pitch for i in range(count)]
        sides = (0, 2, 4, 6) if four else ((2, 6) if turned else (0, 4))
        for side in sides:
            dx, dy = _HEADINGS[side]
            level = abs(dx) > 0.5
            size = (pad_long, pad_short) if level else (pad_short, pad_long)
            pads = [
                Pad(x + dx * across - dy * s, y + dy * across + dx * s, *size, self._next_net())
                for s in steps
            ]
            self._add_pads(pads)
            self._sides.append((pads, side))
        body = across - pad_long * 0.5 - 4
        wide, high = (body, length + pitch * 0.6) if not four else (body, body)
        wide, high = (high, wide) if turned else (wide, high)
        self._outlines.append(Outline(x - wide, y - high, x + wide, y + high))
        self._clearance.reserve_box(x - wide, y - high, x + wide, y + high)
        thermal = body * 1.0
        if four and thermal > 30 and rng.random() < 0.5:
            self._add_pads([Pad(x, y, thermal, thermal, self._next_net())])
            return
        self._texts.append(Text(self._name("U"), x - 10, y + 5))

    def _free_spot(
        self, half_x: float, half_y: float, tries: int = 14
    ) -> tuple[float, float] | None:
        for _ in range(tries):
            x = float(self._rng.uniform(half_x + 16, max(half_x + 17, self._width - half_x - 16)))
            y = float(self._rng.uniform(half_y + 16, max(half_y + 17, self._height - half_y - 16)))
            if self._clearance.is_box_free(x - half_x, y - half_y, x + half_x, y + half_y):
                return x, y
        return None

    def _place_pour(self) -> None:
        """A plane of copper with cut corners and stitching vias."""
        rng = self._rng
        a, b = float(rng.uniform(32, 75)), float(rng.uniform(22, 50))
        spot = self._free_spot(a + 8, b + 8)
        if spot is None:
            return
        x, y = spot
        cut = [float(c) for c in rng.uniform(4, 18, 4)]
        polygon = [
            (x - a + cut[0], y - b), (x + a - cut[1], y - b), (x + a, y - b + cut[1]),
            (x + a, y + b - cut[2]), (x + a - cut[2], y + b), (x - a + cut[3], y + b),
            (x - a, y + b - cut[3]), (x - a, y - b + cut[0]),
        ]  # fmt: skip
        net = self._next_net()
        self._pours.append(Pour(np.array(polygon, dtype=np.float32), net))
        self._clearance.reserve_box(x - a, y - b, x + a, y + b)
        for column in range(int(rng.integers(0, 4))):
            self._via(x - a + 18 + column * 24, y - b + 18, net)

    def _via(self, x: float, y: float, net: int, radius: float | None = None) -> None:
        radius = self._via_px if radius is None else radius
        self._pads.append(Pad(x, y, 2 * radius, 2 * radius, net, True, radius * 0.45))

    def _path(self, heading: int, half_span: float) -> tuple[NDArray[np.float64], int]:
        """A random way of 45 and 90 degree turns from the origin; returns it and its length."""
        rng = self._rng
        points, at = [np.zeros(2)], np.zeros(2)
        turn = int(rng.choice((-1, 1)))
        shortest = 22.0 + half_span * 0.9
        for leg in range(int(rng.integers(2, 6))):
            length = shortest + float(rng.exponential(55.0 if leg % 2 == 0 else 30.0))
            at = at + _HEADINGS[heading % 8] * length
            points.append(at)
            turn = -turn if rng.random() < 0.5 else turn
            heading += turn
        return np.array(points), len(points)

    def _route(
        self, points: NDArray[np.float64], width: float, net: int, own: Pad | None, shortest: float
    ) -> bool:
        """Lay the longest legal beginning of a path; close its end (and free begin) with a via."""
        radius = max(self._via_px, width * 0.5 + 4.0)
        length = self._clearance.legal_length(points, width, radius, _as_box(own), shortest)
        if length == 0:
            return False
        line = prefix(points, length)
        self._traces.append(Trace(line.astype(np.float32), width, net))
        self._clearance.reserve_line(line, width)
        ends = [line[-1]] if own is not None else [line[0], line[-1]]
        for x, y in ends:
            self._via(float(x), float(y), net, radius)
            self._clearance.reserve_disc(float(x), float(y), radius)
        return True

    def _route_sides(self) -> None:
        """Escape each row of pads in bundles of neighbours."""
        rng = self._rng
        for pads, side in self._sides:
            start = 0
            while start < len(pads):
                group = pads[start : start + int(rng.integers(2, 7))]
                start += len(group)
                self._route_group(group, side)

    def _route_group(self, group: list[Pad], side: int) -> None:
        first = np.array((group[0].x, group[0].y))
        last = np.array((group[-1].x, group[-1].y))
        span = float(np.hypot(*(last - first)))
        spine, _ = self._path(side, span * 0.5)
        normal = np.array((-_HEADINGS[side][1], _HEADINGS[side][0]))
        middle = (first + last) * 0.5
        for pad in group:
            offset = float(np.dot(np.array((pad.x, pad.y)) - middle, normal))
            line = offset_polyline(spine, offset) + middle
            self._route(line, self._trace_px, pad.net, pad, self._pitch * 2.2)

    def _place_power(self) -> None:
        """One wide trace."""
        rng = self._rng
        width = self._trace_px * float(rng.uniform(1.8, 2.6))
        x = float(rng.uniform(40, self._width - 40))
        y = float(rng.uniform(40, self._height - 40))
        spine, _ = self._path(2 * int(rng.integers(0, 4)), 10.0)
        self._route(spine + (x, y), width, self._next_net(), None, 70.0)

    def _place_bundle(self) -> None:
        """Parallel traces from via to via in free space."""
        rng, pitch = self._rng, self._pitch
        spot = self._clearance.free_point(rng)
        if spot is None:
            return
        count = int(rng.integers(1, 7))
        heading = int(rng.integers(0, 8))
        spine, _ = self._path(heading, (count - 1) * pitch * 0.5)
        stagger = float(rng.choice((0.0, 1.0, -1.0)))
        along = _HEADINGS[heading]
        for i in range(count):
            line = offset_polyline(spine, (i - (count - 1) / 2) * pitch) + spot
            line[0] += along * stagger * i * pitch * 0.5 if stagger > 0 else 0.0
            line[0] += along * (i % 2) * pitch * 0.9
            self._route(line, self._trace_px, self._next_net(), None, 48.0)

    def _place_passive(self) -> None:
        """Two pads of a resistor or a capacitor, with their outline and name."""
        rng, pitch = self._rng, self._pitch
        half, size = pitch * 0.85, pitch * 0.95
        level = rng.random() < 0.5
        x_half, y_half = (
            (half + size * 0.7, size * 0.8) if level else (size * 0.8, half + size * 0.7)
        )
        spot = self._free_spot(x_half, y_half, tries=3)
        if spot is None:
            return
        x, y = spot
        dx, dy = (half, 0.0) if level else (0.0, half)
        pads = [Pad(x + s * dx, y + s * dy, size, size, self._next_net()) for s in (-1, 1)]
        self._add_pads(pads)
        self._outlines.append(Outline(x - x_half, y - y_half, x + x_half, y + y_half))
        for pad, side in zip(pads, (4, 0) if level else (6, 2), strict=True):
            self._route_group([pad], side)
        name = self._name("R" if rng.random() < 0.6 else "C")
        if self._clearance.is_box_free(x - 12, y - y_half - 12, x + 12, y - y_half - 3):
            self._texts.append(Text(name, x - 12, y - y_half - 3, 0.32))


def _as_box(pad: Pad | None) -> tuple[float, float, float, float] | None:
    return None if pad is None else (pad.x, pad.y, pad.width_px, pad.height_px)
