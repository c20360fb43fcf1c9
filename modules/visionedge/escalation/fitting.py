"""What temperature and thresholds a labelled set asks for.

Temperature: the one number that makes a model's confidence mean what it says, by the least
negative log likelihood (Guo et al., "On Calibration of Modern Neural Networks", 2017). Of
boxes and of the best class alike, what is judged is "is this word right", on its logit.

Thresholds: from which confidence on the words that are taken are wrong no oftener than is
wanted (a point of the risk-coverage curve; Geifman, El-Yaniv, "Selective Classification for
Deep Neural Networks", 2017), and how far around it may be asked about for a wanted share of
pictures.

What this does not promise: that a plant is like the set. Some hundred words of each class
are needed before a figure means much, and it should be looked at again with verdicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_EDGE: Final = 1e-6
_TEMPERATURES: Final = np.exp(np.linspace(np.log(0.05), np.log(20), 600))
_BINS: Final = 10
_LEAST_WORDS: Final = 10
"""Taken by a threshold: fewer say nothing about its risk."""


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold: the share of words that it takes, and of those the share that is wrong."""

    accept: float
    coverage: float
    risk: float


def scaled(confidence: Floats, temperature: float) -> Floats:
    """`confidence` with its logits divided by `temperature`."""
    p = np.clip(confidence, _EDGE, 1 - _EDGE)
    result: Floats = 1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature))
    return result


def fit_temperature(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """The temperature under which the outcomes were likeliest; 1 where there are none.

    Args:
        confidence: (n,) of each word, 0..1.
        right: (n,) whether it was.
    """
    if not len(confidence) or right.all() or not right.any():
        # All right or all wrong would ask for infinite sureness.
        return 1.0
    losses = [_loss(scaled(confidence, t), right) for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Mean distance of confidence and being right, over ten bins, by count."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    error = 0.0
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            error += abs(float(confidence[inside].mean() - right[inside].mean())) * inside.mean()
    return float(error)


def risk_coverage(confidence: Floats, right: NDArray[np.bool_]) -> list[Point]:
    """Each threshold that tells words apart, from taking few to taking all."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    count = np.arange(1, len(order) + 1)
    ordered = confidence[order]
    # Words of equal confidence are taken together.
    last = np.append(ordered[1:] < ordered[:-1], True) if len(ordered) else np.zeros(0, bool)
    return [
        Point(float(ordered[i]), float(count[i] / len(order)), float(wrong[i] / count[i]))
        for i in np.flatnonzero(last).tolist()
    ]


def accept_for(points: Sequence[Point], most_risk: float, words: int) -> Point | None:
    """The lowest threshold whose risk is within `most_risk`; None where none is."""
    fitting = [
        point
        for point in points
        if point.risk <= most_risk and point.coverage * words >= _LEAST_WORDS
    ]
    return max(fitting, key=lambda point: point.coverage, default=None)


def close_for(pictures: Sequence[Floats], accept: float, floor: float, most_share: float) -> float:
    """How far above `accept` may be asked about, for a wanted share of pictures.

    Args:
        pictures: the confidences of each.
        accept: from which a word is taken.
        floor: below it a word is noise.
        most_share: of the pictures, 0..1.

    Returns:
        0..1 in hundredths; 0 where the words below `accept` alone are too many.
    """
    if not len(pictures):
        return 0.0
    for hundredths in range(100, 0, -1):
        close = hundredths / 100
        if asked_share(pictures, accept + close, floor) <= most_share:
            return min(close, round(1 - accept, 2))
    return 0.0


def asked_share(pictures: Sequence[Floats], below: float, floor: float) -> float:
    """The share of pictures with a word from `floor` on and less than `below`, 0..1."""
    asked = sum(bool(((c >= floor) & (c < below)).any()) for c in pictures)
    return asked / max(1, len(pictures))


def _loss(confidence: Floats, right: NDArray[np.bool_]) -> float:
    said = np.where(right, confidence, 1 - confidence)
    return float(-np.log(np.maximum(said, _EDGE)).mean())
