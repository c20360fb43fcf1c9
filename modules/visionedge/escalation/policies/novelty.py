"""A picture unlike all before it: a model that never saw such a thing may be sure and wrong.

How new a picture is comes with the context (`escalation.novelty`). Its score is at most even
odds: new is not wrong.
"""

from dataclasses import dataclass
from typing import Final

from visionedge.escalation.judging import unit
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import Reading

REASON: Final = "novelty"
_EVEN_ODDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Novelty:
    """Doubts a picture that is newer than `most`; 1 is off."""

    most: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """Half of how new it is; none where that is not measured."""
        if self.most >= 1 or seen.novelty is None or not seen.novelty > self.most:
            return None
        return Doubt(REASON, _EVEN_ODDS * unit(seen.novelty))
