"""The seam between the decision and every rule that can doubt a prediction.

A policy looks at one reading of a frame and says how much it doubts it, or nothing. It knows
the camera by its `Context` alone, keeps no hidden state and does not know what becomes of its
doubt: pace, budget and the message belong to others. So policies combine by taking the
strongest doubt, and each can be tested with a few numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from visionedge.escalation.judging import single
from visionedge.escalation.reading import Reading


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a prediction should be asked about, and how much.

    Attributes:
        reason: code of the rule, such as `below_threshold`.
        score: 0..1, grows with the chance that the local word is wrong. Scores of all rules
            are on this one scale, because the strongest wins and the spool is ordered by it.
        where: the numbers of the boxes or classes that it is about, at least one; None for the
            frame as a whole.
    """

    reason: str
    score: float
    where: frozenset[int] | None = field(default=None, compare=False)


def doubt_of(reason: str, scores: Mapping[int, float]) -> Doubt | None:
    """The doubt about boxes or classes by their numbers, as strong as the strongest; or none."""
    return Doubt(reason, max(scores.values()), frozenset(scores)) if scores else None


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a policy may know of the camera.

    Attributes:
        expect_objects: the camera should never see an empty scene.
        floor: confidence below which the model's boxes are noise, 0..1; kept in single
            precision, as confidences are.
    """

    expect_objects: bool = False
    floor: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "floor", single(self.floor))


class EscalationPolicy(Protocol):
    """One rule of doubt. Called for every frame, by several threads at once."""

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """The doubt of this rule, or None where it has none. Takes microseconds; never raises."""
