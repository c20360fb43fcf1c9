"""TensorFlow Object Detection API (SSD, EfficientDet, CenterNet): `detection_boxes` and others.

`detection_boxes` `[1, N, 4]` are fractions of the input, y first; `detection_classes` `[1, N]`
are numbers from 1 in floating point, `detection_scores` `[1, N]` are probabilities, and
`num_detections` `[1]` says how many of the rows count. The input is uint8 with channels last;
the network's own resize and normalisation are in the graph. tf2onnx keeps the names, some
versions with `:0` behind them. Further outputs (raw boxes, anchors) are passed over.
Source: tensorflow/models, `research/object_detection/exporter_lib_v2.py`; onnx/tensorflow-onnx,
`tutorials/ConvertingSSDMobilenetToONNX.ipynb`.
"""

from typing import Final

import numpy as np

from visionedge.inference.boxes import Floats
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.listed_boxes import ListedBoxes, first_after_background, from_yxyx
from visionedge.inference.tensors import Outputs, Signature

_NAMES: Final = ("detection_boxes", "detection_scores", "detection_classes")
_COUNT: Final = "num_detections"


class TfDetection(ListedBoxes):
    """Detector with named outputs, boxes as fractions with y first."""

    def _places(self, _signature: Signature) -> tuple[int, int, int]:
        boxes, scores, classes = self._named(*_NAMES)
        (self._counted,) = self._named(_COUNT)
        return boxes, scores, classes

    def _xyxy(self, boxes: Floats) -> Floats:
        return from_yxyx(boxes) * self._size

    def _first_class(self) -> int:
        return first_after_background(self._card.labels)

    def _count(self, outputs: Outputs, listed: int) -> int:
        counted = self._array(outputs, self._counted, 0)
        # A NaN or nonsense counts nothing away.
        return int(counted) if np.isfinite(counted) and 0 <= counted <= listed else listed


def tell(answer: Answer) -> Told | None:
    """Outputs of these names are nobody else's."""
    if not answer.has(*_NAMES, _COUNT):
        return None
    return Told("output names of the TensorFlow Object Detection API")


FORMAT: Final = Format(
    head="tf_detection",
    task="detection",
    build=TfDetection,
    tell=tell,
    exporters="TensorFlow Object Detection API, by tf2onnx",
    layout="`detection_boxes` `[1, N, 4]` fractions with y first, `_classes` from 1, `_scores`, "
    "`num_detections`",
    input={"fit": "stretch", "color": "rgb", "scale": 1.0},
)
