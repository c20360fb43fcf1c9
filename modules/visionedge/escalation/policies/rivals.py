"""Two boxes of different classes on one object, with nearly the same confidence.

Suppression works within a class, so a detector that wavers between two names gives both,
each perhaps above its threshold. The name that wins does so by chance.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections, Prediction
from visionedge.escalation.judging import noise, unit
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
        classes = prediction.class_id[:_MOST]
        if (classes == classes[0]).all():
            return None
        confidence = prediction.confidence[:_MOST]
        gap = np.abs(np.subtract.outer(confidence, confidence))
        rivals = (gap < self.margin) & np.not_equal.outer(classes, classes)
        weak = noise(prediction, context.floor)[:_MOST]
        rivals &= ~np.logical_or.outer(weak, weak)
        if not rivals.any():
            return None
        rivals &= overlap(prediction.xyxy[:_MOST]) >= _SAME_OBJECT_IOU
        if not rivals.any():
            return None
        where = np.zeros(len(prediction), dtype=np.bool_)
        where[:_MOST] = rivals.any(axis=1)
        return Doubt(REASON, unit(1 - float(gap[rivals].min())), where)


def overlap(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, n) intersection over union; 0 for boxes without area."""
    low = np.maximum(xyxy[:, None, :2], xyxy[None, :, :2])
    high = np.minimum(xyxy[:, None, 2:], xyxy[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    union = np.add.outer(area, area) - shared
    iou: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou
