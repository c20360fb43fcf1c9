"""Confidence below the threshold: more than noise, and not yet sure.

A box between floor and threshold is not taken, so the local word is "nothing there". The
surer the model is of the box, the likelier that word is wrong: the score is where the
confidence lies between floor (0) and threshold (1). Boxes near the floor are mostly noise
and the cheapest to lose. The frame's score is that of its most doubtful box, not a mean:
nine good boxes do not hide one doubtful one.

A classification always names a class. Its word is wrong when another class is the right
one, so its score is what the model gives to all others together.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from visionedge.entities import Prediction
from visionedge.escalation.judging import chance_against_best, competes, doubted, noise, unit
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.thresholds import Thresholds

REASON: Final = "below_threshold"
_LEAST_ROOM: Final = 1e-6


@dataclass(frozen=True, slots=True)
class BelowThreshold:
    """Doubts a frame with a box, or class, that is more than noise and not yet sure."""

    thresholds: Thresholds

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """The doubt about the most doubtful box, or about the best class."""
        if competes(prediction):
            return self._judge_best(prediction)
        if len(prediction) == 0:
            return None
        accept = self.thresholds.accept(prediction)
        between = doubted(prediction, accept) & ~noise(prediction, context.floor)
        if not between.any():
            return None
        low = context.floor
        # `accept` is above `low` wherever the confidence is between them, NaN aside.
        room = np.maximum(accept[between] - low, _LEAST_ROOM)
        closeness = (prediction.confidence[between] - low) / room
        return Doubt(REASON, unit(float(closeness.max())), between)

    def _judge_best(self, prediction: Prediction) -> Doubt | None:
        # The floor is not asked here: of a thousand classes the best may well be below it,
        # and that is no noise but the most doubtful answer there is.
        if len(prediction) == 0:
            return Doubt(REASON, 1.0)
        best = int(prediction.confidence.argmax())
        if prediction.confidence[best] >= self.thresholds.accept(prediction)[best]:
            return None
        return Doubt(REASON, chance_against_best(prediction.confidence))
