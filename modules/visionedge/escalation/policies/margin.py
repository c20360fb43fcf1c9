"""Two classes too close: the frame's word is wrong when the runner-up is right."""

from dataclasses import dataclass
from typing import Final

from visionedge.entities import Prediction
from visionedge.escalation.judging import competes, margin_of, unit
from visionedge.escalation.policy import Context, Doubt

REASON: Final = "margin"


@dataclass(frozen=True, slots=True)
class Margin:
    """Doubts a classification whose best two classes are closer than `margin`."""

    margin: float

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """One minus the margin; no doubt where classes do not compete."""
        if not competes(prediction):
            return None
        margin = margin_of(prediction.confidence)
        return None if margin >= self.margin else Doubt(REASON, unit(1 - margin))
