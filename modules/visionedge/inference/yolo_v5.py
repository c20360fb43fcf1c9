"""YOLOv5: `[1, N, 5 + C]`, boxes, objectness and class scores, decoded in the graph.

Each row is one candidate: centre x, centre y, width, height in pixels of the input, the
objectness, then C class scores, both after their sigmoid; the confidence is their
product. N is three anchors a cell over the strides 8, 16, 32 (25200 at 640). Older
exports give the raw grids of each stride as further outputs of five dimensions, which
are passed over. YOLOX exported with `--decode_in_inference` has the same columns.
Source: ultralytics/yolov5, `models/yolo.py` (Detect) and `export.py`, v6 and v7.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.inference.boxes import Floats, Limits, candidates, xywh_to_xyxy
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Fields, Format, Told, columns_after
from visionedge.inference.geometry import Geometry
from visionedge.inference.grid import USUAL_STRIDES, grid
from visionedge.inference.head import Head, is_number
from visionedge.inference.tensors import Outputs, Signature

YOLO_INPUT: Final[Fields] = {"fit": "letterbox", "color": "rgb", "scale": 1 / 255, "pad": 114}
"""Of all of Ultralytics' detectors."""
ANCHORS_A_CELL: Final = 3


class YoloV5(Head):
    """Detector with rows of box, objectness and class scores."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(lambda spec: is_number(spec, 3))
        columns = signature.outputs[self._index].shape[2]
        self._masks = card.output.masks
        self._check_labels(columns - 5 - self._masks if columns is not None else None)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        table = self._array(outputs, self._index, 2)
        labels, temperature = self._card.labels, self._card.temperature
        end = table.shape[1] - self._masks
        if end < 6 or (labels and end != 5 + len(labels)):
            raise self._wrong_shape(table)
        # No product can exceed its objectness, so most rows are never read further.
        rows = candidates(table[:, 4], self._limits, temperature)
        # Copied once, and then in one piece: after a run each further call is a slow one.
        picked = table.take(rows, axis=0)
        # The best class is the best with its objectness too, which is not below 0. What is no
        # number stays so, and `candidates` finds it.
        with np.errstate(over="ignore", invalid="ignore"):
            best = picked[:, 5:end].max(axis=1) * picked[:, 4]
        chosen = candidates(best, self._limits, temperature)
        picked = picked.take(chosen, axis=0)
        return self._detections(
            self._xyxy(picked[:, :4], rows.take(chosen), len(table)),
            best.take(chosen),
            picked[:, 5:end].argmax(axis=1).astype(np.int32),
            geometry,
        )

    def _xyxy(self, xywh: Floats, rows: NDArray[np.intp], count: int) -> Floats:
        """Boxes in pixels of the input.

        Args:
            xywh: (n, 4) float32, as the model gives them; may be written.
            rows: (n,) where they stand in the table.
            count: rows of the table.
        """
        return xywh_to_xyxy(xywh)


def tell(answer: Answer) -> Told | None:
    """Three rows a cell, or one of YOLOX, with objectness and centres in pixels."""
    table = answer.table()
    if table is None or not answer.agrees(table.values.shape[1] - 5 - table.masks):
        return None
    for strides in USUAL_STRIDES:
        cells = len(grid(answer.size, strides)[0])
        if len(table.values) in (cells, ANCHORS_A_CELL * cells):
            if not table.is_decoded(answer.size):
                return None
            if len(table.values) != cells:
                why = "three anchors a cell; probed: centres are in pixels"
                return Told(why, answer.fields_of(table))
            # The same columns, but the network and its preprocessing are YOLOX.
            yolox = {"input.color": "bgr", "input.scale": 1.0, "input.fit": "letterbox_top_left"}
            why = "one anchor a cell with objectness; probed: centres are in pixels"
            return Told(why, answer.fields_of(table, yolox))
    return None


FORMAT: Final = Format(
    head="yolo_v5",
    task="detection",
    build=YoloV5,
    tell=tell,
    exporters="YOLOv5 and v7, boxes and segmentation; YOLOX decoded in the graph",
    layout="`[1, N, 5 + C]`, pixels",
    input=YOLO_INPUT,
    classes=columns_after(5, axis=2),
)
