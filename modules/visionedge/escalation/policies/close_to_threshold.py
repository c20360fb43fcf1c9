"""Just above the threshold: taken, but a little less light and it would not have been.

The threshold is a line through overlapping crowds: right above it the share of wrong boxes
is nearly that right below it. The score falls from 1 at the threshold to 0 at certainty, so
it meets that of `below_threshold`, and both sides of the line stand on one scale. Of classes
that compete it is what all but the best have together, as on the other side.
"""

from dataclasses import dataclass
from typing import Final

from visionedge.escalation.judging import chance_against_best, single, unit
from visionedge.escalation.policy import Context, Doubt, doubt_of
from visionedge.escalation.reading import Reading

REASON: Final = "close_to_threshold"
_LEAST_ROOM: Final = 1e-6


@dataclass(frozen=True, slots=True)
class CloseToThreshold:
    """Doubts what is taken by less than `distance`; 0 is off."""

    distance: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """The doubt about the one that was taken by least."""
        if self.distance == 0:
            return None
        doubt = doubt_of(
            REASON,
            {
                i: unit((1 - sure) / max(1 - accept, _LEAST_ROOM))
                for i, (sure, accept) in enumerate(zip(seen.confidence, seen.accept, strict=True))
                if accept <= sure < single(accept + self.distance) and not sure < context.floor
            },
        )
        if doubt is None or not seen.competes:
            return doubt
        return Doubt(REASON, chance_against_best(seen.prediction.confidence))
