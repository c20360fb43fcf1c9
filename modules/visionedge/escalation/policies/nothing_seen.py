"""Nothing seen where something is expected: every miss of a detector is silent otherwise."""

from typing import Final

from visionedge.entities import Prediction
from visionedge.escalation.judging import competes
from visionedge.escalation.policy import Context, Doubt

REASON: Final = "nothing_seen"
_EVEN_ODDS: Final = 0.5
"""An empty scene has no confidence to go by."""


class NothingSeen:
    """Doubts a frame without a box, or without any class, where something is expected."""

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """Even odds for an empty scene; no doubt about any other."""
        if not context.expect_objects or _sees_something(prediction, context.floor):
            return None
        return Doubt(REASON, _EVEN_ODDS)


def _sees_something(prediction: Prediction, floor: float) -> bool:
    if len(prediction) == 0:
        return False
    return competes(prediction) or bool((prediction.confidence >= floor).any())
