"""Makes a confidence mean what it says: of the boxes at 0.7, seven in ten are right.

The product asks the cloud about what it doubts, so a detector that is sure of everything is as
useless to it as one that is sure of nothing. Platt scaling (Platt 1999; Guo et al.,
arXiv:1706.04599): a line through the logits, fitted on held-out frames, most of which show
defects as rarely as the product's line does. It goes into the weights of the head, so no reader
of the model can forget it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.evaluation.average_precision import Boxes, match_class

_ROUNDS: Final = 2_000
_RIDGE: Final = 1e-2
"""Holds the line where hardly any box is wrong; as weak as a hundredth of one observation."""


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of a logit: `gain * logit + offset`."""

    gain: float
    offset: float


def fit_line(truths: Sequence[Boxes], found: Sequence[Boxes]) -> Line:
    """The line that best tells, from its confidence, whether a box is right (IoU 0.5)."""
    confidence, is_true = _judged(truths, found)
    chance = np.clip(confidence, 1e-6, 1 - 1e-6)
    return _logistic(np.log(chance / (1 - chance)), is_true)


def _judged(
    truths: Sequence[Boxes], found: Sequence[Boxes]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The confidence of every box of every class, and 1 where it is right."""
    matches = [match_class(c, truths, found) for c in range(len(DEFECT_LABELS))]
    confidence = np.concatenate([m.confidence for m in matches]).astype(np.float64)
    return confidence, np.concatenate([m.is_true for m in matches]).astype(np.float64)


def _logistic(logit: NDArray[np.float64], is_true: NDArray[np.float64]) -> Line:
    """Logistic regression on one variable, drawn weakly to the identity.

    Steps use a bound of the curvature in place of the curvature (Boehning 1992): slower than
    Newton's method, which overshoots where the classes are nearly apart, and sure to arrive.
    """
    rows = np.column_stack((logit, np.ones_like(logit)))
    identity = np.array((1.0, 0.0))
    weights = identity.copy()
    inverse = np.linalg.inv(rows.T @ rows / 4 + _RIDGE * np.eye(2))
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        weights -= inverse @ (rows.T @ (chance - is_true) + _RIDGE * (weights - identity))
    return Line(float(weights[0]), float(weights[1]))


def reliability(
    truths: Sequence[Boxes], found: Sequence[Boxes], edges: Sequence[float]
) -> list[tuple[float, float, int]]:
    """For each band of confidence: its mean, the share of right boxes in it, and their number."""
    confidence, is_true = _judged(truths, found)
    bands = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        within = (confidence >= low) & (confidence < high)
        if within.any():
            mean, share = float(confidence[within].mean()), float(is_true[within].mean())
            bands.append((mean, share, int(within.sum())))
    return bands
