"""Unstable over time: the same object is taken in one frame and not in the next.

A single frame can be sure and wrong; an object whose box comes and goes, or changes its
name, while it passes is one that the model does not know. The flicker of a track is 0 where
all sightings agree and 1 where they are split in halves (`tracks`).
"""

from dataclasses import dataclass
from typing import Final

from visionedge.escalation.judging import unit
from visionedge.escalation.policy import Context, Doubt, doubt_of
from visionedge.escalation.reading import Reading

REASON: Final = "unstable"


@dataclass(frozen=True, slots=True)
class Unstable:
    """Doubts a box whose track flickers more than `most`; 1 is off."""

    most: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """The flicker of the worst track; none where there are no tracks."""
        if self.most >= 1:
            return None
        return doubt_of(
            REASON,
            {
                i: unit(flicker)
                for i, flicker in enumerate(seen.flicker)
                if flicker > self.most and not seen.confidence[i] < context.floor
            },
        )
