"""The rules of doubt: below the threshold, two classes too close, nothing seen.

A score estimates the chance that the local word is wrong, from 0 to 1:

- A box between floor and threshold is not taken, so the local word is "nothing there". The
  surer the model is of the box, the likelier that word is wrong: the score is where the
  confidence lies between floor (0) and threshold (1). Boxes near the floor are mostly noise
  and the cheapest to lose. The frame's score is that of its most doubtful box, not a mean:
  nine good boxes do not hide one doubtful one.
- A classification always names a class. Its word is wrong when another class is the right
  one, so the score is one minus the margin between the best two.
- An empty scene has no confidence to go by: even odds.

Known filters fail at the edges (seen in Sedna's hard example mining): an empty scene counts
as certain, a one-hot vector or a single class raises, a comparison with NaN is false and so
no doubt. Here each of them has its answer, and what is not a number is doubted most.

What this does not promise: calibrated odds. They are as good as the model's confidence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections, Prediction
from visionedge.escalation.policy import Context, Doubt, EscalationPolicy
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DecisionSettings

NOTHING_SEEN: Final = "nothing_seen"
MARGIN: Final = "margin"
BELOW_THRESHOLD: Final = "below_threshold"
_EVEN_ODDS: Final = 0.5


def is_independent(prediction: Classification) -> bool:
    """True where each class is judged by itself, as a lone sigmoid is too."""
    return prediction.multilabel or len(prediction) == 1


def doubted(prediction: Prediction, accept: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes or classes are not taken as they are, (n,) bool; NaN is not taken."""
    return ~(prediction.confidence >= accept)


class NothingSeen:
    """Doubts a frame without a box, or without any class, where something is expected."""

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """Even odds for an empty scene; no doubt about any other."""
        if not context.expect_objects or _sees_something(prediction, context.floor):
            return None
        return Doubt(NOTHING_SEEN, _EVEN_ODDS)


@dataclass(frozen=True, slots=True)
class Margin:
    """Doubts a classification whose best two classes are closer than `margin`."""

    margin: float

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """One minus the margin; no doubt where classes do not compete."""
        if isinstance(prediction, Detections) or is_independent(prediction):
            return None
        margin = _margin(prediction.confidence)
        return None if margin >= self.margin else Doubt(MARGIN, _unit(1 - margin))


@dataclass(frozen=True, slots=True)
class BelowThreshold:
    """Doubts a frame with a box, or class, that is more than noise and not yet sure."""

    thresholds: Thresholds

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """The doubt about the most doubtful box, or about the best class."""
        if isinstance(prediction, Classification) and not is_independent(prediction):
            return self._judge_best(prediction)
        accept = self.thresholds.accept(prediction)
        confidence = prediction.confidence
        between = doubted(prediction, accept) & ~(confidence < context.floor)
        if not between.any():
            return None
        low = context.floor
        # `accept` is above `low` wherever the confidence is between them, NaN aside.
        with np.errstate(divide="ignore", invalid="ignore"):
            closeness = (confidence[between] - low) / (accept[between] - low)
        return Doubt(BELOW_THRESHOLD, _unit(float(closeness.max())))

    def _judge_best(self, prediction: Classification) -> Doubt | None:
        # The floor is not asked here: of a thousand classes the best may well be below it,
        # and that is no noise but the most doubtful answer there is.
        if len(prediction) == 0:
            return Doubt(BELOW_THRESHOLD, 1.0)
        best = int(prediction.confidence.argmax())
        if prediction.confidence[best] >= self.thresholds.accept(prediction)[best]:
            return None
        return Doubt(BELOW_THRESHOLD, _unit(1 - _margin(prediction.confidence)))


def _sees_something(prediction: Prediction, floor: float) -> bool:
    if len(prediction) == 0:
        return False
    if isinstance(prediction, Classification) and not is_independent(prediction):
        return True
    return bool((prediction.confidence >= floor).any())


def _margin(confidence: NDArray[np.float32]) -> float:
    if len(confidence) < 2:
        return 0.0
    second, best = np.partition(confidence, -2)[-2:]
    return float(best - second)


def _unit(score: float) -> float:
    """`score` within 0..1; what is not a number is the strongest doubt."""
    return min(max(score, 0.0), 1.0) if score == score else 1.0


RULES: Final[dict[str, Callable[[DecisionSettings], EscalationPolicy]]] = {
    NOTHING_SEEN: lambda _: NothingSeen(),
    MARGIN: lambda settings: Margin(settings.margin),
    BELOW_THRESHOLD: lambda settings: BelowThreshold(Thresholds(settings)),
}
"""Every rule by its reason code. Of equal doubts the first one here names the reason."""
