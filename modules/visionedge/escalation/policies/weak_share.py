"""Image-based share of weak boxes (IBT): a frame in which much is unsure is unsure itself.

A frame is doubted when at least `share` of its boxes are weaker than `box`. The rule comes
from Sedna's hard example mining, where a frame without boxes divides by zero or counts as
sure; here it is left to `nothing_seen`, which knows whether something was expected.
"""

from dataclasses import dataclass
from typing import Final

from visionedge.entities import Detections, Prediction
from visionedge.escalation.judging import noise, unit
from visionedge.escalation.policy import Context, Doubt

REASON: Final = "weak_share"


@dataclass(frozen=True, slots=True)
class WeakShare:
    """Doubts a frame of which at least `share` of the boxes are below `box`; 0 is off."""

    box: float
    share: float

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """The share of weak boxes."""
        if self.share == 0 or not isinstance(prediction, Detections):
            return None
        looked_at = ~noise(prediction, context.floor)
        if not looked_at.any():
            return None
        weak = looked_at & ~(prediction.confidence >= self.box)
        share = float(weak.sum() / looked_at.sum())
        return Doubt(REASON, unit(share), weak) if share >= self.share and weak.any() else None
