"""Cut a big frame into tiles, and put the boxes of the tiles together again.

A line camera of 20 megapixels shows defects of ten pixels; scaled to a model's input they
are gone. So the model looks at tiles that overlap, and every object must come out once:

- One that lies whole in two tiles is seen twice, and the surer box stays (NMS).
- One that a border cuts, while another tile sees it whole: the part goes, however little it
  overlaps the whole in IoU, because it lies inside it.
- One that no tile sees whole: its parts are cut by facing borders and lie level with each
  other; they are joined into one box with the confidence of the surest.

Only boxes that touch the inner border of a tile can be parts. Two objects that touch each
other away from the borders are never joined.

What this does not promise: that an object much larger than the overlap is seen by its
parts. For such objects let the whole frame be looked at too, or choose larger tiles.
Source of the idea: Akyon et al., SAHI, arXiv:2202.06934; the joining is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.errors import ModelRunError
from visionedge.inference.boxes import Floats, Limits

MOST_TILES: Final = 400
_AT_BORDER: Final = 1 / 100
"""Of the tile's side: a detector ends a cut box a little before the border."""
_INSIDE: Final = 0.6
"""Share of a part that must lie in the box of the whole object."""
_LEVEL: Final = 0.5
"""Overlap along the border from which two parts are of one object."""
_MOST_BOXES: Final = 1000
"""Over all tiles, the surest; the work grows with their square."""
_JOINED: Final = -1
_FACING: Final = ((0, 2), (1, 3), (2, 0), (3, 1))
"""Sides of two parts that face each other: left and right, top and bottom."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the frame: left, top, right, bottom in whole pixels."""

    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """How frames are cut.

    Attributes:
        width, height: of a tile, pixels of the frame.
        overlap: share of a tile that the next one repeats.
        batch: tiles a run, where the model's batch is free.
        whole: also look at the whole of it, for what is larger than a tile.
    """

    width: int
    height: int
    overlap: float = 0.2
    batch: int = 1
    whole: bool = False


def cut(area: Tile, tiling: Tiling) -> list[Tile]:
    """The tiles that cover an area, evenly spread; one where it is no larger than a tile.

    Raises:
        ModelRunError: they would be too many to look at.
    """
    columns = _starts(area.x2 - area.x1, tiling.width, tiling.overlap)
    rows = _starts(area.y2 - area.y1, tiling.height, tiling.overlap)
    if len(columns) * len(rows) > MOST_TILES:
        raise ModelRunError(
            f"{len(columns) * len(rows)} tiles a frame are more than {MOST_TILES}",
            hint="set larger `tiles`, less overlap, or a `region` of the camera",
        )
    tiles = [
        Tile(
            area.x1 + x,
            area.y1 + y,
            min(area.x1 + x + tiling.width, area.x2),
            min(area.y1 + y + tiling.height, area.y2),
        )
        for y in rows
        for x in columns
    ]
    return [*tiles, area] if tiling.whole and len(tiles) > 1 else tiles


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    if length <= tile:
        return [0]
    step = max(1.0, tile * (1 - overlap))
    count = 1 + int(np.ceil((length - tile) / step))
    return [round(float(start)) for start in np.linspace(0, length - tile, count)]


def merge(
    found: Sequence[Detections], tiles: Sequence[Tile], area: Tile, limits: Limits
) -> Detections:
    """The boxes of all tiles as those of one frame, each object once.

    Args:
        found: a tile each, in pixels of the tile.
        tiles: where they lie in the frame.
        area: what they cover together; its own borders cut nothing that could be joined.
        limits: of the model.
    """
    parts = _Parts.of(found, tiles, area)
    parts.keep(np.argsort(-parts.confidence, kind="stable")[:_MOST_BOXES])
    parts.join()
    kept = parts.survivors(limits)
    return Detections(
        parts.xyxy[kept], parts.confidence[kept], parts.class_id[kept],
        found[0].labels if found else (),
    )  # fmt: skip


@dataclass(slots=True)
class _Parts:
    """Boxes of all tiles in pixels of the frame; `is_cut` by left, top, right, bottom."""

    xyxy: Floats
    confidence: Floats
    class_id: NDArray[np.int32]
    is_cut: NDArray[np.bool_]
    tile: NDArray[np.int64]

    @classmethod
    def of(cls, found: Sequence[Detections], tiles: Sequence[Tile], area: Tile) -> "_Parts":
        borders = np.array([area.x1, area.y1, area.x2, area.y2], np.float32)
        boxes, cuts, numbers = [], [], []
        for number, (each, tile) in enumerate(zip(found, tiles, strict=True)):
            place = np.array([tile.x1, tile.y1, tile.x2, tile.y2], np.float32)
            xyxy = each.xyxy + np.tile(place[:2], 2)
            slack = _AT_BORDER * np.tile(place[2:] - place[:2], 2)
            cuts.append((np.abs(xyxy - place) <= slack + 1) & (place != borders))
            boxes.append(xyxy)
            numbers.append(np.full(len(each), number))
        return cls(
            np.concatenate(boxes),
            np.concatenate([each.confidence for each in found]),
            np.concatenate([each.class_id for each in found]),
            np.concatenate(cuts),
            np.concatenate(numbers),
        )

    @property
    def _is_part(self) -> NDArray[np.bool_]:
        """Which boxes are cut on any side."""
        return np.asarray(self.is_cut.any(axis=1), np.bool_)

    def join(self) -> None:
        """Join parts across borders, until none is left that faces another."""
        is_open = self._is_part & ~self._contained()
        kept = np.ones(len(is_open), np.bool_)
        for a in range(len(is_open)):
            # What a part faces, faces it: so one look at each is enough.
            while is_open[a] and (b := self._facing(a, np.flatnonzero(is_open))) is not None:
                self._absorb(a, b)
                is_open[b] = kept[b] = False
        self.keep(np.flatnonzero(kept))

    def keep(self, kept: NDArray[np.intp]) -> None:
        """Forget all but those."""
        for name in ("xyxy", "confidence", "class_id", "is_cut", "tile"):
            setattr(self, name, getattr(self, name)[kept])

    def _absorb(self, a: int, b: int) -> None:
        low = np.minimum(self.xyxy[a, :2], self.xyxy[b, :2])
        high = np.maximum(self.xyxy[a, 2:], self.xyxy[b, 2:])
        # A side is still open only if the part that reaches farthest there is cut there.
        outer = np.array([*(self.xyxy[b, :2] == low), *(self.xyxy[b, 2:] == high)])
        self.is_cut[a] = np.where(outer, self.is_cut[b], self.is_cut[a])
        self.xyxy[a] = np.concatenate((low, high))
        self.confidence[a] = max(self.confidence[a], self.confidence[b])
        self.tile[a] = _JOINED

    def _facing(self, a: int, others: NDArray[np.intp]) -> int | None:
        """The part of the same object across a border that cuts `a`, if there is one."""
        others = others[(others != a) & (self.class_id[others] == self.class_id[a])]
        others = others[(self.tile[others] != self.tile[a]) | (self.tile[others] == _JOINED)]
        for mine, theirs in _FACING:
            if self.is_cut[a, mine]:
                facing = others[self.is_cut[others, theirs]]
                level = _level(self.xyxy[a], self.xyxy[facing], mine % 2)
                if len(facing) and level.max() >= _LEVEL:
                    return int(facing[level.argmax()])
        return None

    def _contained(self) -> NDArray[np.bool_]:
        """Which cut boxes lie mostly inside a box of their class that is not cut."""
        whole = np.logical_not(self._is_part)
        inside: NDArray[np.bool_] = _share_inside(self.xyxy) > _INSIDE
        inside &= self.class_id[:, None] == self.class_id[None, :]
        inside &= whole[None, :]
        np.fill_diagonal(inside, val=False)
        contained: NDArray[np.bool_] = inside.any(axis=1) & ~whole
        return contained

    def survivors(self, limits: Limits) -> NDArray[np.intp]:
        """Indices of the boxes that stay, best first: whole ones take parts away."""
        is_cut = self._is_part
        order = np.lexsort((-self.confidence, is_cut))
        inside = _share_inside(self.xyxy)
        iou = _iou(self.xyxy)
        same: NDArray[np.bool_] = np.equal.outer(self.class_id, self.class_id)
        stays = np.ones(len(order), np.bool_)
        for position, index in enumerate(order):
            if stays[index]:
                later = order[position + 1 :]
                part = is_cut[later] & (inside[later, index] > _INSIDE)
                double = iou[later, index] > limits.nms_iou
                stays[later[same[later, index] & (part | double)]] = False
        kept = np.flatnonzero(stays)
        return kept[np.argsort(-self.confidence[kept], kind="stable")][: limits.max_detections]


def _level(box: Floats, others: Floats, across: int) -> Floats:
    """How much boxes overlap along the border, 0..1; 0 where they do not reach each other."""
    along = 1 - across
    low = np.maximum(box[along], others[:, along])
    high = np.minimum(box[along + 2], others[:, along + 2])
    span = np.maximum(box[along + 2], others[:, along + 2])
    span = span - np.minimum(box[along], others[:, along])
    near = np.maximum(box[across], others[:, across])
    meets = np.minimum(box[across + 2], others[:, across + 2]) >= near
    return np.asarray(np.where(meets, np.maximum(high - low, 0) / np.maximum(span, 1e-6), 0))


def _inner(a: Floats) -> Floats:
    low = np.maximum(a[:, None, :2], a[None, :, :2])
    high = np.minimum(a[:, None, 2:], a[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=2), np.float32)


def _area(a: Floats) -> Floats:
    return np.asarray((a[:, 2:] - a[:, :2]).prod(axis=1), np.float32)


def _share_inside(a: Floats) -> Floats:
    """Share of each box that lies in each other: (n, n)."""
    return np.asarray(_inner(a) / np.maximum(_area(a)[:, None], 1e-6), np.float32)


def _iou(a: Floats) -> Floats:
    inner, area = _inner(a), _area(a)
    return np.asarray(inner / np.maximum(area[:, None] + area[None, :] - inner, 1e-6), np.float32)
