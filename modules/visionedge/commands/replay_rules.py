"""Every rule's word on one prediction, for a replay to show beside the decision."""

from collections.abc import Sequence
from math import isclose
from typing import Any, Final

from visionedge.entities import Prediction
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import read
from visionedge.escalation.rules import RULES
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DecisionSettings

_DIGITS: Final = 1e-6
"""How much a score may differ: other processors, and other versions, round otherwise."""


def doubts(prediction: Prediction, decision: DecisionSettings, context: Context) -> list[Doubt]:
    """The doubts of all rules, the strongest first; of equal ones in the order of the rules."""
    seen = read(prediction, Thresholds(decision))
    found = [make(decision).judge(seen, context) for make in RULES.values()]
    return sorted((doubt for doubt in found if doubt), key=lambda doubt: -doubt.score)


def explained(doubts: list[Doubt]) -> list[dict[str, Any]]:
    """As JSON: the rule, its score, and the numbers of the boxes that it is about."""
    return [
        {
            "rule": doubt.reason,
            "score": doubt.score,
            **({} if doubt.where is None else {"boxes": sorted(doubt.where)}),
        }
        for doubt in doubts
    ]


def alike(now: Sequence[object], recorded: Sequence[object]) -> bool:
    """Whether what is decided now is what was decided then, but for the last digits of numbers."""
    return all(
        isclose(one, other, abs_tol=_DIGITS)
        if isinstance(one, float) and isinstance(other, float)
        else one == other
        for one, other in zip(now, recorded, strict=True)
    )
