"""YOLO26 and YOLOv10, end to end: `[1, N, 6]`, boxes that need no suppression.

Each row is x1, y1, x2, y2 in pixels of the input, the confidence, and the class as a
number. The model was trained to give one box an object, so N (300) is all there is, and
rows below the floor are filling. Exports of YOLOv8 and 11 with `nms=True` have the same
columns. Segmentation adds mask coefficients, which are passed over.
Source: ultralytics, `nn/modules/head.py` (Detect, v10Detect; end2end) and
`engine/exporter.py`, metadata `end2end`.
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.inference.boxes import Limits, candidates
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, is_number
from visionedge.inference.tensors import Outputs, Signature
from visionedge.inference.yolo_v5 import YOLO_INPUT

_MOST_ROWS: Final = 1000
_LEAST_PX: Final = 2
"""Boxes of a whole picture reach farther than this, if they are in pixels."""


class YoloEnd2End(Head):
    """Detector whose graph gives finished boxes."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._columns = 6 + card.output.masks
        self._index = self._find(
            lambda spec: is_number(spec, 3) and spec.shape[2] in (self._columns, None)
        )

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        table = self._array(outputs, self._index, 2)
        if table.shape[1] != self._columns:
            raise self._wrong_shape(table)
        rows = table[candidates(table[:, 4], self._limits, self._card.temperature)]
        classes = self._class_ids(rows[:, 5])
        return self._detections(rows[:, :4], rows[:, 4], classes, geometry, suppress=False)


def tell(answer: Answer) -> Told | None:
    """Few rows of six, in pixels; or all zero, where the graph found nothing."""
    table = answer.table()
    if table is None or table.values.shape[1] != 6 + table.masks:
        return None
    rows, corners = len(table.values), table.values[:, :4]
    is_fraction = 0 < np.abs(corners).max(initial=0) < _LEAST_PX
    if rows > _MOST_ROWS or is_fraction:
        return None
    why = f"{rows} finished boxes with confidence and class"
    return Told(why, answer.fields_of(table))


FORMAT: Final = Format(
    head="yolo_end2end",
    task="detection",
    build=YoloEnd2End,
    tell=tell,
    exporters="Ultralytics YOLO26 and YOLOv10; YOLOv8 and 11 with `nms=True`",
    layout="`[1, N, 6]`, pixels, finished",
    input=YOLO_INPUT,
)
