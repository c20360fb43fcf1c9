"""What the net is asked for: at the cells near a defect's middle its box, elsewhere nothing.

A cell's class score is asked to be as high as its box is good (varifocal loss, arXiv:2008.13367),
not just 1: so the scores stay spread, the best placed box wins the suppression, and a defect
that is hard to place comes out doubtful, which is what the product then asks about. Boxes learn
by generalised IoU (arXiv:1902.09630), with a smooth L1 that pulls while they do not overlap.
Between the classes a softmax decides beside that, for a defect is of one class: without it, what
looks a little like three of them comes out as three boxes.

Cells around a defect of which too little is in the crop are asked for nothing.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.net import STRIDE, cell_centres, decode_boxes

_REACH_PX: Final = 5.0
"""Half the side of the square of cells around a defect's middle that answer for it: about six."""
_FULL_MARKS_IOU: Final = 0.85
"""At a side of ten pixels, half a pixel of error each way leaves no more than this."""
_ALPHA: Final = 0.75
_GAMMA: Final = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What a batch of crops shows.

    Attributes:
        boxes: (b, 4, h, w), cx cy w h in input pixels, where `class_map` is not -1.
        class_map: (b, h, w) int64, the class a cell answers for, or -1.
        weight: (b, h, w), 0 where nothing is asked.
    """

    boxes: Tensor
    class_map: Tensor
    weight: Tensor


def make_targets(
    boxes: list[Tensor], class_ids: list[Tensor], ignored: list[Tensor], side_cells: int
) -> Targets:
    """Lay the truth of square crops over their cells.

    Args:
        boxes: For each crop (n, 4), xyxy in input pixels.
        class_ids: For each crop (n,) int64.
        ignored: For each crop (m, 4), xyxy, areas in which nothing is asked.
        side_cells: Cells a side.
    """
    count = len(boxes)
    centres = cell_centres(side_cells, side_cells)
    target = Targets(
        torch.zeros(count, 4, side_cells, side_cells),
        torch.full((count, side_cells, side_cells), -1, dtype=torch.int64),
        torch.ones(count, side_cells, side_cells),
    )
    for at in range(count):
        for area in ignored[at]:
            target.weight[at][_inside(centres, area[:2], area[2:])] = 0.0
        for box, class_id in zip(boxes[at], class_ids[at], strict=True):
            middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
            near = _inside(centres, middle - _REACH_PX, middle + _REACH_PX)
            target.boxes[at][:, near] = torch.cat((middle, size))[:, None]
            target.class_map[at][near] = class_id
            target.weight[at][near] = 1.0
    return target


def _inside(centres: Tensor, low: Tensor, high: Tensor) -> Tensor:
    ge = (centres >= low[:, None, None]).all(dim=0)
    return ge & (centres < high[:, None, None]).all(dim=0)


def detection_loss(raw: Tensor, target: Targets) -> Tensor:
    """One number for a batch: scores and boxes, per cell that answers for a defect."""
    owned = target.class_map >= 0
    wanted = target.boxes.permute(0, 2, 3, 1)[owned]
    found = decode_boxes(raw).permute(0, 2, 3, 1)[owned]
    iou, giou = _overlaps(found, wanted)
    distance = _box_distance(found, wanted)
    marks = torch.zeros_like(raw[:, 4:])
    quality = (iou.detach() / _FULL_MARKS_IOU).clamp(0.0, 1.0)
    at, row, column = owned.nonzero(as_tuple=True)
    marks[at, target.class_map[owned], row, column] = quality
    score = _varifocal(raw[:, 4:], marks) * target.weight[:, None]
    rivals = functional.cross_entropy(
        raw[at, 4:, row, column], target.class_map[owned], reduction="sum"
    )
    per_cell = 1.0 / max(1, int(owned.sum()))
    return (score.sum() + 2.0 * (1.0 - giou).sum() + distance.sum() + 0.5 * rivals) * per_cell


def _varifocal(logits: Tensor, marks: Tensor) -> Tensor:
    plain = functional.binary_cross_entropy_with_logits(logits, marks, reduction="none")
    chance = logits.detach().sigmoid()
    return plain * torch.where(marks > 0, marks, _ALPHA * chance.pow(_GAMMA))


def _overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of aligned cx cy w h boxes."""
    a1, a2 = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b1, b2 = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    common = (torch.minimum(a2, b2) - torch.maximum(a1, b1)).clamp(min=0).prod(dim=1)
    union = a[:, 2:].prod(dim=1) + b[:, 2:].prod(dim=1) - common
    hull = (torch.maximum(a2, b2) - torch.minimum(a1, b1)).prod(dim=1)
    iou = common / union
    return iou, iou - (hull - union) / hull


def _box_distance(a: Tensor, b: Tensor) -> Tensor:
    middle = functional.smooth_l1_loss(a[:, :2] / STRIDE, b[:, :2] / STRIDE, reduction="none")
    size = functional.smooth_l1_loss(a[:, 2:].log(), b[:, 2:].log(), reduction="none")
    return middle.sum(dim=1) + size.sum(dim=1)
