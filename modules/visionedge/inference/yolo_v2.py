"""YOLOv2 as a raw grid: `[1, A * (5 + C), H, W]`, Custom Vision detection and Tiny YOLOv2.

Anchors are outermost. Of each cell and anchor, before any activation: centre
`(sigmoid(v) + cell)` and size `exp(v) * anchor`, both in cells; objectness by sigmoid; classes
by softmax; the confidence is their product. There are five anchors, given in cells, and a grid
cell is 32 pixels. They are Custom Vision's unless `output.anchors` says others: those of Tiny
YOLOv2 for Pascal VOC are (1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52).
Pixels are 0 to 255; Custom Vision wants them in BGR.
Source: `python/object_detection.py` (_extract_bb) of the zip that Custom Vision exports; Redmon
and Farhadi, "YOLO9000", 2016. The later sample of Azure-Samples/customvision-export-samples,
`samples/python/onnx/object_detection/predict.py`, has the same anchors and leaves the sigmoid of
the centre out, which is right only behind OpenVINO's RegionYolo, as in its sample beside that.
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.inference.boxes import Floats, Limits, candidates, xywh_to_xyxy
from visionedge.inference.calibration import sigmoid, softmax
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, finite, is_number
from visionedge.inference.tensors import Outputs, Signature

_STRIDE: Final = 32
_ANCHORS: Final = ((0.573, 0.677), (1.87, 2.06), (3.34, 5.47), (7.88, 3.53), (9.77, 9.17))
"""In cells; `ObjectDetection.ANCHORS` of the sample."""
_MOST_LOGIT: Final = 1e4
_MOST_EXPONENT: Final = 80
"""Beyond it the exponential overflows; what is near it is refused as a box."""


class YoloV2(Head):
    """Detector with one raw grid and anchors in cells."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(lambda spec: is_number(spec, 4))
        self._anchors: Floats = np.array(card.output.anchors or _ANCHORS, np.float32)
        planes = signature.outputs[self._index].shape[1]
        if planes is not None:
            self._check_labels(planes // len(self._anchors) - 5)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        planes = self._array(outputs, self._index, 3)
        anchors, labels = len(self._anchors), len(self._card.labels)
        numbers, over = divmod(len(planes), anchors)
        if over or numbers < 6 or not planes.size or (labels and numbers != 5 + labels):
            raise self._wrong_shape(planes)
        grid = planes.reshape(anchors, numbers, *planes.shape[1:])
        objectness = sigmoid(grid[:, 4])
        # No product can exceed its objectness, so most cells are never read further.
        rows = candidates(objectness.ravel(), self._limits, self._card.temperature)
        anchor, y, x = np.unravel_index(rows, objectness.shape)
        values = np.clip(finite(grid[anchor, :, y, x]), -_MOST_LOGIT, _MOST_LOGIT)
        scores = softmax(values[:, 5:]) * objectness[anchor, y, x, None]
        best = scores.max(axis=1)
        kept = candidates(best, self._limits, self._card.temperature)
        xywh = np.empty((len(kept), 4), np.float32)
        xywh[:, :2] = sigmoid(values[kept, :2]) + np.stack([x, y], axis=1)[kept]
        size = np.exp(np.minimum(values[kept, 2:4], _MOST_EXPONENT))
        # Some exponentials and anchors have a product that is no number; it is refused as a box.
        with np.errstate(over="ignore"):
            xywh[:, 2:] = size * self._anchors[anchor[kept]]
            xywh *= self._pixels_a_cell(planes.shape)
        classes = scores[kept].argmax(axis=1).astype(np.int32)
        return self._detections(xywh_to_xyxy(xywh), best[kept], classes, geometry)

    def _pixels_a_cell(self, shape: tuple[int, ...]) -> Floats:
        x, y = (side / cells for side, cells in zip(self._writer.size, shape[:0:-1], strict=True))
        return np.array([x, y, x, y], np.float32)


def tell(answer: Answer) -> Told | None:
    """One output of planes over a grid of stride 32, as many as five anchors need."""
    arrays = list(answer.arrays().values())
    grid = (answer.size[1] // _STRIDE, answer.size[0] // _STRIDE)
    if len(answer.outputs) != 1 or len(arrays) != 1 or arrays[0].ndim != 4:
        return None
    numbers, over = divmod(arrays[0].shape[1], len(_ANCHORS))
    if over or arrays[0].shape[2:] != grid or not answer.agrees(numbers - 5):
        return None
    return Told(f"planes of {len(_ANCHORS)} anchors over one grid of stride {_STRIDE}")


FORMAT: Final = Format(
    head="yolo_v2",
    task="detection",
    build=YoloV2,
    tell=tell,
    exporters="Custom Vision detection, General (compact); Tiny YOLOv2",
    layout="`[1, 5 (5 + C), H, W]`, raw",
    input={"fit": "stretch", "color": "bgr", "scale": 1.0},
)
