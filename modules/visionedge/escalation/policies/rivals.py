"""Two boxes of different classes on one object, with nearly the same confidence.

Suppression works within a class, so a detector that wavers between two names gives both,
each perhaps above its threshold. The name that wins does so by chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from visionedge.escalation.judging import unit
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import Reading
from visionedge.overlap import iou, iou_of_two

REASON: Final = "rivals"
_SAME_OBJECT_IOU: Final = 0.5
_MOST: Final = 64
"""Boxes looked at, best first: pairs grow with the square."""
_FEW: Final = 32
"""Pairs that are compared one by one; of more all boxes are, in one go."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Doubts overlapping boxes of two classes whose confidences are closer than `margin`."""

    margin: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """One minus the smallest gap between two rivals."""
        if self.margin == 0 or len(seen.class_id) < 2:
            return None
        close = list(_close_pairs(seen, context.floor, self.margin))
        shared = _overlaps(seen, close)
        rivals = [
            pair for pair, share in zip(close, shared, strict=True) if share >= _SAME_OBJECT_IOU
        ]
        if not rivals:
            return None
        where = frozenset(box for _, *pair in rivals for box in pair)
        return Doubt(REASON, unit(1 - min(rivals)[0]), where)


def _close_pairs(seen: Reading, floor: float, margin: float) -> Iterator[tuple[float, int, int]]:
    """How close two boxes of different names are in confidence, below `margin`, and which."""
    confidence, names = seen.confidence[:_MOST], seen.class_id[:_MOST]
    for i, sure in enumerate(confidence):
        for j in range(i + 1, len(confidence)):
            gap = sure - confidence[j]
            # Boxes are best first: those that follow are farther apart yet, or noise as well.
            if confidence[j] < floor or gap >= margin:
                break
            if names[i] != names[j] and gap < margin:
                yield gap, i, j


def _overlaps(seen: Reading, pairs: Sequence[tuple[float, int, int]]) -> list[float]:
    """How much the boxes of each pair overlap."""
    if len(pairs) <= _FEW:
        return [iou_of_two(seen.xyxy[i], seen.xyxy[j]) for _, i, j in pairs]
    boxes = np.array(seen.xyxy[:_MOST])
    shared = iou(boxes, boxes).tolist()
    return [shared[i][j] for _, i, j in pairs]
