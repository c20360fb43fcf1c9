"""Temperature scaling: make a model's confidence mean what it says.

Networks are overconfident. Dividing the logits by one number, fitted on held-out frames,
mends most of it and changes no ranking: Guo et al., "On Calibration of Modern Neural
Networks", 2017. Graphs that end in a softmax or sigmoid are scaled through its inverse;
a softmax of `log p / T` is the softmax of `logits / T`, since the constant cancels.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_TINY: Final = 1e-12


def softmax(logits: Floats) -> Floats:
    """Over the last axis, safe for large values."""
    # Logits too far apart for their type differ by infinity, and its exponential is right.
    with np.errstate(over="ignore"):
        exponential: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability: Floats = exponential / exponential.sum(axis=-1, keepdims=True)
    return probability


def sigmoid(logits: Floats) -> Floats:
    """Elementwise, safe for large values."""
    return (1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)


def soften(probability: Floats, temperature: float) -> Floats:
    """Scale probabilities that sum to one."""
    if temperature == 1:
        return probability
    return softmax(np.log(np.maximum(probability, _TINY)).astype(np.float32) / temperature)


def soften_binary(probability: Floats, temperature: float) -> Floats:
    """Scale probabilities that stand each for itself."""
    if temperature == 1:
        return probability
    p = np.clip(probability.astype(np.float64), _TINY, 1 - _TINY)
    return sigmoid((np.log(p / (1 - p)) / temperature).astype(np.float32))


def undo_binary(probability: float, temperature: float) -> float:
    """The probability that `soften_binary` turns into this one, to compare before scaling."""
    if temperature == 1 or not 0 < probability < 1:
        return probability
    logit = np.log(probability / (1 - probability)) * temperature
    return float(1 / (1 + np.exp(-np.clip(logit, -700, 700))))
