"""Just above the threshold: taken, but a little less light and it would not have been.

The threshold is a line through overlapping crowds: right above it the share of wrong boxes
is nearly that right below it. The score falls from 1 at the threshold to 0 at certainty, so
it meets that of `below_threshold`, and both sides of the line stand on one scale. Of classes
that compete it is what all but the best have together, as on the other side.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from visionedge.entities import Prediction
from visionedge.escalation.judging import chance_against_best, competes, unit
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.thresholds import Thresholds

REASON: Final = "close_to_threshold"


@dataclass(frozen=True, slots=True)
class CloseToThreshold:
    """Doubts what is taken by less than `distance`."""

    thresholds: Thresholds
    distance: float

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """The doubt about the one that was taken by least."""
        if self.distance == 0 or len(prediction) == 0:
            return None
        accept = self.thresholds.accept(prediction)
        confidence = prediction.confidence
        close = (confidence >= accept) & (confidence < accept + self.distance)
        close &= ~(confidence < context.floor)
        if competes(prediction):
            # Only the best class is anybody's word.
            close &= np.arange(len(confidence)) == confidence.argmax()
        if not close.any():
            return None
        if competes(prediction):
            return Doubt(REASON, chance_against_best(confidence))
        above = np.maximum(1 - accept[close], 1e-6)
        doubt = ((1 - confidence[close]) / above).max()
        return Doubt(REASON, unit(float(doubt)), close)
