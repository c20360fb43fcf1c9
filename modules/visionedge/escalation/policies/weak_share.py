"""Image-based share of weak boxes (IBT): a frame in which much is unsure is unsure itself.

A frame is doubted when at least `share` of its boxes are weaker than `box`. The rule comes
from Sedna's hard example mining, where a frame without boxes divides by zero or counts as
sure; here it is left to `nothing_seen`, which knows whether something was expected.
"""

from dataclasses import dataclass
from typing import Final

from visionedge.escalation.judging import unit
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import Reading

REASON: Final = "weak_share"


@dataclass(frozen=True, slots=True)
class WeakShare:
    """Doubts a frame of which at least `share` of the boxes are below `box`; 0 is off."""

    box: float
    share: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """The share of weak boxes."""
        if self.share == 0 or not seen.class_id:
            return None
        heard = [i for i, sure in enumerate(seen.confidence) if not sure < context.floor]
        weak = frozenset(i for i in heard if not seen.confidence[i] >= self.box)
        if not weak or len(weak) / len(heard) < self.share:
            return None
        return Doubt(REASON, unit(len(weak) / len(heard)), weak)
