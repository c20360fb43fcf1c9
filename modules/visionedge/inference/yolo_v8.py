"""YOLOv8 and YOLO11: `[1, 4 + C, N]`, boxes and class scores, no objectness.

Each column is one candidate: centre x, centre y, width, height in pixels of the input,
then C class scores after their sigmoid. N is the number of grid cells over the strides 8,
16, 32 (8400 at 640). Suppression is not in the graph. Segmentation exports add 32 mask
coefficients to each column and the masks as a second output; they are read for their boxes.
Source: ultralytics, `nn/modules/head.py` (Detect, Segment) and `engine/exporter.py`, format onnx.
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.inference.boxes import Limits, candidates, xywh_to_xyxy
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Format, Told, columns_after
from visionedge.inference.geometry import Geometry
from visionedge.inference.grid import USUAL_STRIDES, grid
from visionedge.inference.head import Head, is_number
from visionedge.inference.tensors import Outputs, Signature
from visionedge.inference.yolo_v5 import YOLO_INPUT


class YoloV8(Head):
    """Detector with the output of YOLOv8 and YOLO11."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(lambda spec: is_number(spec, 3))
        rows = signature.outputs[self._index].shape[1]
        self._masks = card.output.masks
        self._check_labels(rows - 4 - self._masks if rows is not None else None)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        table = self._array(outputs, self._index, 2)
        labels = self._card.labels
        end = len(table) - self._masks
        if end < 5 or (labels and end != 4 + len(labels)):
            raise self._wrong_shape(table)
        temperature = self._card.temperature
        # The best score of a column first, over contiguous rows; who it is, only for the few.
        chosen = candidates(table[4:end].max(axis=0), self._limits, temperature)
        # Copied once, and then in one piece: after a run each further call is a slow one.
        picked = table[:end].take(chosen, axis=1)
        scores = picked[4:]
        return self._detections(
            xywh_to_xyxy(picked[:4].T),
            scores.max(axis=0),
            scores.argmax(axis=0).astype(np.int32),
            geometry,
        )


def tell(answer: Answer) -> Told | None:
    """As many columns as cells, and no objectness."""
    table = answer.table()
    if table is None:
        return None
    rows, columns = table.values.shape
    for strides in USUAL_STRIDES:
        cells = len(grid(answer.size, strides)[0])
        if columns == cells and answer.agrees(rows - 4 - table.masks):
            why = f"{rows} rows of box and scores over {cells} cells, no objectness"
            return Told(why, answer.fields_of(table))
    return None


FORMAT: Final = Format(
    head="yolo_v8",
    task="detection",
    build=YoloV8,
    tell=tell,
    exporters="Ultralytics YOLOv8 and YOLO11, boxes and segmentation",
    layout="`[1, 4 + C, N]`, pixels",
    input=YOLO_INPUT,
    classes=columns_after(4, axis=1),
)
