"""YOLOv5: `[1, N, 5 + C]`, boxes, objectness and class scores, decoded in the graph.

Each row is one candidate: centre x, centre y, width, height in pixels of the input, the
objectness, then C class scores, both after their sigmoid; the confidence is their
product. N is three anchors a cell over the strides 8, 16, 32 (25200 at 640). Older
exports give the raw grids of each stride as further outputs of five dimensions, which
are passed over. YOLOX exported with `--decode_in_inference` has the same columns.
Source: ultralytics/yolov5, `models/yolo.py` (Detect) and `export.py`, v6 and v7.
"""

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.inference.boxes import Floats, Limits, candidates, to_detections, xywh_to_xyxy
from visionedge.inference.card import ModelCard
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, is_number
from visionedge.inference.tensors import Outputs, Signature


class YoloV5(Head):
    """Detector with rows of box, objectness and class scores."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(lambda spec: is_number(spec, 3))
        columns = signature.outputs[self._index].shape[2]
        self._check_labels(columns - 5 if columns is not None else None)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        table = self._array(outputs, self._index, 2)
        labels, temperature = self._card.labels, self._card.temperature
        if table.shape[1] < 6 or (labels and table.shape[1] != 5 + len(labels)):
            raise self._wrong_shape(table)
        # No product can exceed its objectness, so most rows are never read further.
        rows = candidates(table[:, 4], self._limits, temperature)
        scores = table[rows, 5:] * table[rows, 4, None]
        best = scores.max(axis=1)
        chosen = candidates(best, self._limits, temperature)
        return to_detections(
            self._xyxy(table, rows[chosen]),
            best[chosen],
            scores[chosen].argmax(axis=1).astype(np.int32),
            geometry=geometry,
            labels=labels,
            limits=self._limits,
            temperature=temperature,
        )

    def _xyxy(self, table: Floats, rows: NDArray[np.intp]) -> Floats:
        """Boxes of the given rows, pixels of the input."""
        return xywh_to_xyxy(table[rows, :4])
