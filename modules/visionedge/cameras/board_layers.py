"""A board layout as rasters: the copper and what lies on it, one byte a pixel.

Defects are sought and cut here, in the copper layer, before any colour exists: so every photometric
effect of the scene acts on them as on sound copper. Rasters are shared between the boards of a lot
and are read-only; `with_defects` copies the one it changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.board import BoardLayout, Pad
from visionedge.cameras.board_clearance import offset_polyline

_FINE: Final = 4  # binary digits of sub-pixel position that OpenCV draws with
_MASK_OPENING_PX: Final = 2.0
MOUNTING_RADIUS_PX: Final = 10.0
FIDUCIAL_RADIUS_PX: Final = 4.5


@dataclass(frozen=True, slots=True, eq=False)
class BoardLayers:
    """Rasters of (height, width), uint8 0 to 255 with soft edges, where not said otherwise.

    Attributes:
        copper: All copper, under the mask or exposed.
        opening: Where the solder mask is open (a little more than the pads).
        metal: Exposed, plated metal.
        drill: Holes.
        silk: Silkscreen print.
        nets: int16, hard edges; the net to which the copper belongs, 0 for none.
        keep_out: Non-zero where a defect would be hidden or doubtful: pads, print, holes, rim.
    """

    copper: NDArray[np.uint8]
    opening: NDArray[np.uint8]
    metal: NDArray[np.uint8]
    drill: NDArray[np.uint8]
    silk: NDArray[np.uint8]
    nets: NDArray[np.int16]
    keep_out: NDArray[np.uint8]


def draw_layers(layout: BoardLayout) -> BoardLayers:
    """Draw all rasters of a layout."""
    shape = (layout.height_px, layout.width_px)
    copper, nets = _draw_copper(layout, shape)
    opening, metal, drill = (np.zeros(shape, dtype=np.uint8) for _ in range(3))
    for pad in layout.pads:
        draw_pad(opening, pad, 255, _MASK_OPENING_PX)
        draw_pad(metal, pad, 255)
        if pad.drill_px > 0:
            _disc(drill, pad.x, pad.y, pad.drill_px)
    for x, y in layout.fiducials:
        _disc(opening, x, y, FIDUCIAL_RADIUS_PX * 2.2)
        _disc(metal, x, y, FIDUCIAL_RADIUS_PX)
    for x, y in layout.mounting_holes:
        _disc(opening, x, y, MOUNTING_RADIUS_PX + 5)
        _disc(metal, x, y, MOUNTING_RADIUS_PX + 4)
        _disc(drill, x, y, MOUNTING_RADIUS_PX)
    silk = _draw_silk(layout, shape)
    silk[cv2.dilate(opening, np.ones((3, 3), np.uint8)) > 0] = 0
    keep_out = _keep_out(layout, opening, silk)
    return BoardLayers(copper, opening, metal, drill, silk, nets, keep_out)


def with_polygons(
    copper: NDArray[np.uint8], polygons: Iterable[tuple[NDArray[np.float32], bool]]
) -> NDArray[np.uint8]:
    """Return the copper with polygons added (True) or cut out (False)."""
    changed = copper.copy()
    for polygon, adds in polygons:
        cv2.fillPoly(changed, [fixed(polygon)], 255 if adds else 0, cv2.LINE_AA, _FINE)
    return changed


def fixed(points: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.int32]:
    """Points as the fixed-point integers that OpenCV draws at sub-pixel places."""
    return np.round(points * (1 << _FINE)).astype(np.int32)


def draw_pad(target: NDArray[np.uint8] | NDArray[np.int16], pad: Pad, value: int, grow: float = 0.0,
             kind: int = cv2.LINE_AA) -> None:  # fmt: skip
    """Draw one pad, widened by `grow` pixels on each side."""
    half_x, half_y = pad.width_px / 2 + grow, pad.height_px / 2 + grow
    if pad.is_round:
        _disc(target, pad.x, pad.y, half_x, value, kind)
        return
    corners = np.array(
        [(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)]
    ) + (pad.x, pad.y)
    cv2.fillPoly(target, [fixed(corners)], value, kind, _FINE)


def _disc(target: NDArray[np.uint8] | NDArray[np.int16], x: float, y: float, radius: float,
          value: int = 255, kind: int = cv2.LINE_AA) -> None:  # fmt: skip
    scale = 1 << _FINE
    centre = (round(x * scale), round(y * scale))
    cv2.circle(target, centre, round(radius * scale), value, -1, kind, _FINE)


def _draw_copper(
    layout: BoardLayout, shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    copper, nets = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.int16)
    for target, kind, soft in ((copper, cv2.LINE_AA, True), (nets, cv2.LINE_8, False)):
        for pour in layout.pours:
            value = 255 if soft else pour.net
            cv2.fillPoly(target, [fixed(pour.polygon)], value, kind, _FINE)
        for trace in layout.traces:
            strip = _strip(trace.points.astype(np.float64), trace.width_px)
            cv2.fillPoly(target, [fixed(strip)], 255 if soft else trace.net, kind, _FINE)
        for pad in layout.pads:
            draw_pad(target, pad, 255 if soft else pad.net, kind=kind)
    return copper, nets


def _strip(points: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """The outline of a trace; unlike a thick polyline it may be any fraction of a pixel wide."""
    half = width * 0.5
    return np.vstack((offset_polyline(points, half), offset_polyline(points, -half)[::-1]))


def _draw_silk(layout: BoardLayout, shape: tuple[int, int]) -> NDArray[np.uint8]:
    silk = np.zeros(shape, dtype=np.uint8)
    for box in layout.outlines:
        a, b = (round(box.x1), round(box.y1)), (round(box.x2), round(box.y2))
        cv2.rectangle(silk, a, b, 255, 1, cv2.LINE_AA)
        cv2.circle(silk, (a[0] + 7, a[1] + 7), 2, 255, -1, cv2.LINE_AA)
    for text in layout.texts:
        draw_text(silk, text.text, text.x, text.y, text.scale)
    return silk


def draw_text(target: NDArray[np.uint8], text: str, x: float, y: float, scale: float) -> None:
    """Print silkscreen letters."""
    at = (round(x), round(y))
    cv2.putText(target, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1, cv2.LINE_AA)


def _keep_out(
    layout: BoardLayout, opening: NDArray[np.uint8], silk: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    keep = cv2.max(opening, silk)
    x, y = layout.serial_at
    cv2.rectangle(keep, (int(x), int(y)), (int(x) + 210, int(y) + 30), 255, -1)
    keep = cv2.dilate(keep, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    keep[:14] = keep[-14:] = 255
    keep[:, :14] = keep[:, -14:] = 255
    return np.asarray(keep, dtype=np.uint8)
