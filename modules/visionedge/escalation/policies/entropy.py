"""Normalised entropy: how far a classification is from naming one class.

Divided by the logarithm of the number of classes, so that one setting means the same for
three classes and for a thousand; raw entropy does not. Zeros contribute nothing, one class
has no entropy, and confidences that do not sum to one are brought to it first: each of
these raises, or divides by zero, in well-known filters.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.escalation.judging import unit
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import Reading

REASON: Final = "entropy"


@dataclass(frozen=True, slots=True)
class Entropy:
    """Doubts a classification of more than `most` normalised entropy; 1 is never."""

    most: float

    def judge(self, seen: Reading, context: Context) -> Doubt | None:
        """The entropy itself; no doubt where classes do not compete."""
        if self.most >= 1 or not seen.competes:
            return None
        entropy = normalised_entropy(seen.prediction.confidence)
        return None if entropy <= self.most else Doubt(REASON, unit(entropy))


def normalised_entropy(confidence: NDArray[np.float32]) -> float:
    """0 (one class has all) to 1 (all alike, or nothing to go by); NaN where one is none."""
    p = np.maximum(confidence.astype(np.float64), 0)
    total = p.sum()
    if len(p) < 2 or total == 0:
        return 1.0 if total == 0 else 0.0
    p = p / total
    logs = np.log(p, out=np.zeros_like(p), where=~(p <= 0))
    return float(-(p * logs).sum() / np.log(len(p)))
