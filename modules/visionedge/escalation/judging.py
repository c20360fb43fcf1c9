"""What all rules of doubt read from a prediction in the same way.

Known filters fail at the edges (seen in Sedna's hard example mining): an empty scene counts
as certain, a one-hot vector or a single class raises, a comparison with NaN is false and so
no doubt. Here each of them has its answer, and what is not a number is doubted most.
"""

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Prediction

Mask = NDArray[np.bool_]


def is_independent(prediction: Classification) -> bool:
    """True where each class is judged by itself, as a lone sigmoid is too."""
    return prediction.multilabel or len(prediction) == 1


def doubted(prediction: Prediction, accept: NDArray[np.float32]) -> Mask:
    """Which boxes or classes are not taken as they are, (n,) bool; NaN is not taken."""
    return ~(prediction.confidence >= accept)


def noise(prediction: Prediction, floor: float) -> Mask:
    """Which boxes or classes are too weak to be looked at, (n,) bool; NaN is not noise."""
    return prediction.confidence < floor


def competes(prediction: Prediction) -> bool:
    """True for a classification in which exactly one class is right."""
    return isinstance(prediction, Classification) and not is_independent(prediction)


def chance_against_best(confidence: NDArray[np.float32]) -> float:
    """How likely another class is right than the best one, where exactly one is; NaN counts 1."""
    return unit(1 - float(confidence.max(initial=0.0)))


def margin_of(confidence: NDArray[np.float32]) -> float:
    """By how much the best class leads; 0 where there are not two, NaN where one is none."""
    if len(confidence) < 2:
        return 0.0
    second, best = np.partition(confidence, -2)[-2:]
    return float(best - second)


def single(value: float) -> float:
    """`value` as confidences are, in single precision: what is told as 0.9 is not below 0.9."""
    return float(np.float32(value))


def unit(score: float) -> float:
    """`score` within 0..1; what is not a number is the strongest doubt."""
    return min(max(score, 0.0), 1.0) if score == score else 1.0
