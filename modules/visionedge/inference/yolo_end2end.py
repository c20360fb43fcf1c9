"""YOLO26 and YOLOv10, end to end: `[1, N, 6]`, boxes that need no suppression.

Each row is x1, y1, x2, y2 in pixels of the input, the confidence, and the class as a
number. The model was trained to give one box an object, so N (300) is all there is, and
rows below the floor are filling. Exports of YOLOv8 and 11 with `nms=True` have the same
columns.
Source: ultralytics, `nn/modules/head.py` (Detect, v10Detect; end2end) and
`engine/exporter.py`, metadata `end2end`.
"""

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.errors import ModelRunError
from visionedge.inference.boxes import Limits, candidates, to_detections
from visionedge.inference.card import ModelCard
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, is_number
from visionedge.inference.tensors import Outputs, Signature


class YoloEnd2End(Head):
    """Detector whose graph gives finished boxes."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(lambda spec: is_number(spec, 3) and spec.shape[2] in (6, None))

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        table = self._array(outputs, self._index, 2)
        if table.shape[1] != 6:
            raise self._wrong_shape(table)
        temperature = self._card.temperature
        rows = table[candidates(table[:, 4], self._limits, temperature)]
        return to_detections(
            rows[:, :4],
            rows[:, 4],
            self._classes(rows[:, 5]),
            geometry=geometry,
            labels=self._card.labels,
            limits=self._limits,
            temperature=temperature,
            suppress=False,
        )

    def _classes(self, column: NDArray[np.float32]) -> NDArray[np.int32]:
        most = len(self._card.labels) or 65_536
        if len(column) and not (column.min() >= 0 and column.max() < most):
            raise ModelRunError(
                f"a class number beyond the {most} labels",
                hint="mend `labels` in the card; if they are right, the head is wrong",
            )
        return column.astype(np.int32)
