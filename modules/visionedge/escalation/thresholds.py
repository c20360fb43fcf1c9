"""From which confidence on a box or class is taken as it is, by class.

Settings name classes as a twin allows it, models as their trainer liked it: `Missing Hole`
is `missing_hole` in the twin. `label_key` makes both one, here and where verdicts are
compared, so that a verifier's spelling is no disagreement.
"""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections, Prediction
from visionedge.settings import DecisionSettings

_SEPARATORS: Final = re.compile(r"[\s_.$#-]+")


def label_key(label: str) -> str:
    """`label` as it is compared: case, and what separates words, do not count."""
    return _SEPARATORS.sub("_", label.strip().casefold())


class Thresholds:
    """The accept thresholds of the settings, as arrays that fit a model's classes.

    Safe for many threads. A table is made once for the labels of each model and kept; the
    object is replaced with the settings, so there are as many tables as models.
    """

    def __init__(self, settings: DecisionSettings) -> None:
        self._default = settings.accept
        self._rules = {label_key(name): rule.accept for name, rule in settings.classes.items()}
        self._tables: dict[tuple[str, ...], NDArray[np.float32]] = {}
        self._lists: dict[tuple[str, ...], list[float]] = {}

    def accept(self, prediction: Prediction) -> NDArray[np.float32]:
        """The threshold of each box, or of each class of a classification, (n,) float32."""
        table = self._table(prediction.labels)
        # As unsigned, a class without a label lies beyond the end on either side, and is
        # clipped to the last entry, the default.
        ids = (
            prediction.class_id.view(np.uint32)
            if isinstance(prediction, Detections)
            else np.arange(len(prediction), dtype=np.uint32)
        )
        return table.take(ids, mode="clip")

    def of(self, labels: tuple[str, ...], class_id: Iterable[int]) -> list[float]:
        """The same of some classes as plain numbers, for the few boxes of a frame."""
        accept = self._lists.get(labels)
        if accept is None:
            accept = self._lists[labels] = self._table(labels).tolist()
        last = len(labels)
        return [accept[i if 0 <= i < last else last] for i in class_id]

    def _table(self, labels: tuple[str, ...]) -> NDArray[np.float32]:
        """Of each class, and at the end of one without a label."""
        table = self._tables.get(labels)
        if table is None:
            accept = [self._rules.get(label_key(label), self._default) for label in labels]
            table = self._tables[labels] = np.array([*accept, self._default], dtype=np.float32)
        return table
