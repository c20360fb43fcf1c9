"""Nothing seen where something is expected: every miss of a detector is silent otherwise."""

from typing import Final

from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import Reading

REASON: Final = "nothing_seen"
_EVEN_ODDS: Final = 0.5
"""An empty scene has no confidence to go by."""


class NothingSeen:
    """Doubts a frame without a box, or without any class, where something is expected."""

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """Even odds for an empty scene; no doubt about any other."""
        if not context.expect_objects or _is_something(seen, context.floor):
            return None
        return Doubt(REASON, _EVEN_ODDS)


def _is_something(seen: Reading, floor: float) -> bool:
    if seen.competes:
        return bool(seen.confidence)
    return any(sure >= floor for sure in seen.confidence)
