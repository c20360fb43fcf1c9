"""A least confidence for every single box that is taken, whatever its class accepts.

A class may be accepted from 0.3 on because missing it is dear; a box of 0.3 is still worth
a second look. One bad box is doubt, however many good ones stand around it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from visionedge.entities import Detections, Prediction
from visionedge.escalation.judging import doubted, noise, unit
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.thresholds import Thresholds

REASON: Final = "box_minimum"


@dataclass(frozen=True, slots=True)
class BoxMinimum:
    """Doubts a box that is taken with less than `minimum`; 0 is off."""

    thresholds: Thresholds
    minimum: float

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """How far the weakest taken box is from certain."""
        if self.minimum == 0 or not isinstance(prediction, Detections) or not len(prediction):
            return None
        taken = ~doubted(prediction, self.thresholds.accept(prediction))
        weak = taken & (prediction.confidence < self.minimum) & ~noise(prediction, context.floor)
        if not weak.any():
            return None
        return Doubt(REASON, unit(1 - float(np.min(prediction.confidence[weak]))), weak)
