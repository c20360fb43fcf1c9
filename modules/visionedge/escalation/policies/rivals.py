"""Two boxes of different classes on one object, with nearly the same confidence.

Suppression works within a class, so a detector that wavers between two names gives both,
each perhaps above its threshold. The name that wins does so by chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections, Prediction
from visionedge.escalation.judging import unit
from visionedge.escalation.policy import Context, Doubt

REASON: Final = "rivals"
_SAME_OBJECT_IOU: Final = 0.5
_MOST: Final = 64
"""Boxes looked at, best first: pairs grow with the square."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Doubts overlapping boxes of two classes whose confidences are closer than `margin`."""

    margin: float

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """One minus the smallest gap between two rivals."""
        if self.margin == 0 or not isinstance(prediction, Detections) or len(prediction) < 2:
            return None
        close = list(_close_pairs(prediction, context.floor, self.margin))
        if not close:
            return None
        shared = overlap(prediction.xyxy[:_MOST])
        rivals = [(gap, i, j) for gap, i, j in close if shared[i, j] >= _SAME_OBJECT_IOU]
        if not rivals:
            return None
        where = np.zeros(len(prediction), dtype=np.bool_)
        where[[box for _, *pair in rivals for box in pair]] = True
        return Doubt(REASON, unit(1 - min(rivals)[0]), where)


def _close_pairs(
    found: Detections, floor: float, margin: float
) -> Iterator[tuple[float, int, int]]:
    """How close two boxes of different names are in confidence, below `margin`, and which."""
    confidence, names = found.confidence[:_MOST].tolist(), found.class_id[:_MOST].tolist()
    for i, sure in enumerate(confidence):
        for j in range(i + 1, len(confidence)):
            gap = sure - confidence[j]
            # Boxes are best first: those that follow are farther apart yet, or noise as well.
            if confidence[j] < floor or gap >= margin:
                break
            if names[i] != names[j] and gap < margin:
                yield gap, i, j


def overlap(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, n) intersection over union; 0 for boxes without area."""
    low = np.maximum(xyxy[:, None, :2], xyxy[None, :, :2])
    high = np.minimum(xyxy[:, None, 2:], xyxy[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    union = np.add.outer(area, area) - shared
    iou: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou
