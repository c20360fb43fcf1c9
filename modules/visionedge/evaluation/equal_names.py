"""Classes of one name, counted as one.

Some models have several: two classes of a larger set that were both called `vehicle`. Truth
has no more than the name, so a find of either is right.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from visionedge.entities import Classification, Prediction


class EqualNames:
    """The names of a model's classes, each once.

    Attributes:
        names: in the order in which they come first; classes without a name stay apart.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        first: dict[str | int, int] = {}
        numbers = [first.setdefault(label or n, len(first)) for n, label in enumerate(labels)]
        self._number = np.array(numbers, np.int32)
        self.names = tuple(name if isinstance(name, str) else "" for name in first)

    def merged(self, found: Prediction) -> Prediction:
        """What a model found, in the numbers of `names`; of a classifier's, the surest counts."""
        if len(self.names) == len(self._number):
            return found
        if isinstance(found, Classification):
            confidence = np.zeros(len(self.names), np.float32)
            np.maximum.at(confidence, self._number, found.confidence)
            return replace(found, confidence=confidence, labels=self.names)
        return replace(found, class_id=self._number[found.class_id], labels=self.names)
