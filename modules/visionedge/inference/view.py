"""What of a camera's frames a model looks at: a region, and the tiles within it.

A region saves time and false alarms: the frame is cut to its bounding rectangle, so that
the model sees it larger, and boxes with their centre outside the polygon are dropped. It is
no mask: what lies outside is still in the picture that an escalation sends. `masks` of the
camera are for that.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.inference.tiles import Tile, Tiling
from visionedge.settings.cameras import TileSettings

Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class View:
    """How one camera is looked at.

    Attributes:
        region: corners (x, y), 0..1 of the frame; empty is all of it.
        tiling: how it is cut, or None. A width or height of 0 is that of the model's input.
    """

    region: Corners = ()
    tiling: Tiling | None = None

    def area(self, width: int, height: int) -> Tile:
        """The rectangle of a frame of this size that is looked at, at least a pixel."""
        if not self.region:
            return Tile(0, 0, width, height)
        xs, ys = ([corner[axis] for corner in self.region] for axis in (0, 1))
        x1 = min(floor(min(xs) * width), width - 1)
        y1 = min(floor(min(ys) * height), height - 1)
        return Tile(x1, y1, max(ceil(max(xs) * width), x1 + 1), max(ceil(max(ys) * height), y1 + 1))

    def within(self, found: Detections, width: int, height: int) -> Detections:
        """The boxes whose centre lies in the region."""
        if not self.region or not len(found):
            return found
        centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
        kept = _inside(centres / np.array([width, height], np.float32), self.region)
        return Detections(
            found.xyxy[kept], found.confidence[kept], found.class_id[kept], found.labels
        )


WHOLE: Final = View()
"""All of the frame, as it is."""


def view_of(region: Corners | None, tiles: TileSettings | None) -> View:
    """The view that a camera's settings ask for."""
    if region is None and tiles is None:
        return WHOLE
    tiling = None
    if tiles is not None:
        tiling = Tiling(tiles.width_px, tiles.height_px, tiles.overlap, tiles.batch, tiles.whole)
    return View(region or (), tiling)


def _inside(points: NDArray[np.floating], corners: Corners) -> NDArray[np.bool_]:
    """Which points lie in a polygon: a ray from one crosses its edges an odd number of times."""
    x, y = points[:, 0], points[:, 1]
    odd = np.zeros(len(points), np.bool_)
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        crosses = (ay > y) != (by > y)
        if ay != by:
            odd ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return odd
