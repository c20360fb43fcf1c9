"""Confidence below the threshold: more than noise, and not yet sure.

A box between floor and threshold is not taken, so the local word is "nothing there". The
surer the model is of the box, the likelier that word is wrong: the score is where the
confidence lies between floor (0) and threshold (1). Boxes near the floor are mostly noise
and the cheapest to lose. The frame's score is that of its most doubtful box, not a mean:
nine good boxes do not hide one doubtful one.

A classification always names a class. Its word is wrong when another class is the right
one, so its score is what the model gives to all others together.
"""

from typing import Final

from visionedge.escalation.judging import chance_against_best, unit
from visionedge.escalation.policy import Context, Doubt, doubt_of
from visionedge.escalation.reading import Reading

REASON: Final = "below_threshold"
_LEAST_ROOM: Final = 1e-6


class BelowThreshold:
    """Doubts a frame with a box, or class, that is more than noise and not yet sure."""

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """The doubt about the most doubtful box, or about the best class."""
        if seen.competes:
            return _judge_best(seen)
        low = context.floor
        # `accept` is above `low` wherever the confidence is between them, NaN aside.
        return doubt_of(
            REASON,
            {
                i: unit((sure - low) / max(accept - low, _LEAST_ROOM))
                for i, (sure, accept) in enumerate(zip(seen.confidence, seen.accept, strict=True))
                if not sure >= accept and not sure < low
            },
        )


def _judge_best(seen: Reading) -> Doubt | None:
    # The floor is not asked here: of a thousand classes the best may well be below it,
    # and that is no noise but the most doubtful answer there is.
    if seen.confidence and seen.confidence[0] >= seen.accept[0]:
        return None
    return Doubt(REASON, chance_against_best(seen.prediction.confidence))
