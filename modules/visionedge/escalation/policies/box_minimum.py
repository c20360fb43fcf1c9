"""A least confidence for every single box that is taken, whatever its class accepts.

A class may be accepted from 0.3 on because missing it is dear; a box of 0.3 is still worth
a second look. One bad box is doubt, however many good ones stand around it.
"""

from dataclasses import dataclass
from typing import Final

from visionedge.escalation.judging import unit
from visionedge.escalation.policy import Context, Doubt, doubt_of
from visionedge.escalation.reading import Reading

REASON: Final = "box_minimum"


@dataclass(frozen=True, slots=True)
class BoxMinimum:
    """Doubts a box that is taken with less than `minimum`; 0 is off."""

    minimum: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """How far the weakest taken box is from certain."""
        if self.minimum == 0 or not seen.class_id:
            return None
        return doubt_of(
            REASON,
            {
                i: unit(1 - sure)
                for i, (sure, accept) in enumerate(zip(seen.confidence, seen.accept, strict=True))
                if accept <= sure < self.minimum and not sure < context.floor
            },
        )
