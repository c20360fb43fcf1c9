"""The seam between the decision and every rule that can doubt a prediction.

A policy looks at one prediction and says how much it doubts it, or nothing. It knows the
camera by its `Context` alone, keeps no hidden state and does not know what becomes of its
doubt: pace, budget and the message belong to others. So policies combine by taking the
strongest doubt, and each can be tested with arrays.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Prediction


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a prediction should be asked about, and how much.

    Attributes:
        reason: code of the rule, such as `below_threshold`.
        score: 0..1, grows with the chance that the local word is wrong. Scores of all rules
            are on this one scale, because the strongest wins and the spool is ordered by it.
        where: (n,) bool, the boxes it is about; None for the frame as a whole.
    """

    reason: str
    score: float
    where: NDArray[np.bool_] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a policy may know beyond the prediction.

    Attributes:
        expect_objects: the camera should never see an empty scene.
        floor: confidence below which the model's boxes are noise, 0..1.
        flicker: (n,) float32, how unstable the track of each box is, 0..1; None where
            nothing is tracked.
        novelty: how unlike the picture is to those before it, 0..1; None where that is not
            measured.
    """

    expect_objects: bool = False
    floor: float = 0.0
    flicker: NDArray[np.float32] | None = None
    novelty: float | None = None


class EscalationPolicy(Protocol):
    """One rule of doubt. Called for every frame, by several threads at once."""

    def judge(self, prediction: Prediction, context: Context) -> Doubt | None:
        """The doubt of this rule, or None where it has none. Takes microseconds; never raises."""
