"""Unstable over time: the same object is taken in one frame and not in the next.

A single frame can be sure and wrong; an object whose box comes and goes, or changes its
name, while it passes is one that the model does not know. The flicker of a track is 0 where
all sightings agree and 1 where they are split in halves (`tracks`).
"""

from dataclasses import dataclass
from typing import Final

from visionedge.entities import Detections, Prediction
from visionedge.escalation.judging import noise, unit
from visionedge.escalation.policy import Context, Doubt

REASON: Final = "unstable"


@dataclass(frozen=True, slots=True)
class Unstable:
    """Doubts a box whose track flickers more than `most`; 1 is off."""

    most: float

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """The flicker of the worst track; none where there are no tracks."""
        flicker = context.flicker
        if self.most >= 1 or flicker is None or not isinstance(prediction, Detections):
            return None
        unstable = (flicker > self.most) & ~noise(prediction, context.floor)
        if not unstable.any():
            return None
        return Doubt(REASON, unit(float(flicker[unstable].max())), unstable)
