"""YOLOv8 and YOLO11: `[1, 4 + C, N]`, boxes and class scores, no objectness.

Each column is one candidate: centre x, centre y, width, height in pixels of the input,
then C class scores after their sigmoid. N is the number of grid cells over the strides 8,
16, 32 (8400 at 640). Suppression is not in the graph.
Source: ultralytics, `nn/modules/head.py` (Detect) and `engine/exporter.py`, format onnx.
"""

import numpy as np

from visionedge.entities import Detections
from visionedge.inference.boxes import Limits, candidates, to_detections, xywh_to_xyxy
from visionedge.inference.card import ModelCard
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, is_number
from visionedge.inference.tensors import Outputs, Signature


class YoloV8(Head):
    """Detector with the output of YOLOv8 and YOLO11."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(lambda spec: is_number(spec, 3))
        rows = signature.outputs[self._index].shape[1]
        self._check_labels(rows - 4 if rows is not None else None)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        table = self._array(outputs, self._index, 2)
        labels = self._card.labels
        if len(table) < 5 or (labels and len(table) != 4 + len(labels)):
            raise self._wrong_shape(table)
        temperature = self._card.temperature
        # The best score of a column first, over contiguous rows; who it is, only for the few.
        chosen = candidates(table[4:].max(axis=0), self._limits, temperature)
        scores = table[4:, chosen]
        class_id = scores.argmax(axis=0).astype(np.int32)
        return to_detections(
            xywh_to_xyxy(table[:4, chosen].T),
            scores[class_id, np.arange(len(chosen))],
            class_id,
            geometry=geometry,
            labels=labels,
            limits=self._limits,
            temperature=temperature,
        )
