"""Two classes too close: the frame's word is wrong when the runner-up is right.

The margin says which frames are doubted, and not how much: that is what all classes but the
best have together, as with the other rules. A margin of 0.1 may stand between 0.55 and 0.45,
or between 0.2 and 0.1 of ten classes.
"""

from dataclasses import dataclass
from typing import Final

from visionedge.escalation.judging import chance_against_best, margin_of
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import Reading

REASON: Final = "margin"


@dataclass(frozen=True, slots=True)
class Margin:
    """Doubts a classification whose best two classes are closer than `margin`."""

    margin: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """What all but the best have together; no doubt where classes do not compete."""
        if not seen.competes or margin_of(seen.prediction.confidence) >= self.margin:
            return None
        return Doubt(REASON, chance_against_best(seen.prediction.confidence))
