"""Custom Vision detection, newer exports: `detected_boxes`, `detected_classes`, `detected_scores`.

Boxes `[N, 4]` (or `[1, N, 4]`) are corners as fractions of the input, x first; classes are
numbers from 0 in the order of `labels.txt`; suppression is in the graph. Pixels are 0 to 255 in
BGR unless `metadata_properties.json` or the file itself says otherwise.
Source: Azure-Samples/customvision-export-samples,
`samples/python/onnx/object_detection_s1/predict.py`.
"""

from typing import Final

from visionedge.inference.boxes import Floats
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.listed_boxes import ListedBoxes
from visionedge.inference.tensors import Signature

_NAMES: Final = ("detected_boxes", "detected_scores", "detected_classes")


class CustomVisionDetection(ListedBoxes):
    """Detector with named outputs, boxes as fractions."""

    def _places(self, _signature: Signature) -> tuple[int, int, int]:
        boxes, scores, classes = self._named(*_NAMES)
        return boxes, scores, classes

    def _xyxy(self, boxes: Floats) -> Floats:
        return boxes * self._size


def tell(answer: Answer) -> Told | None:
    """Outputs of these names are nobody else's."""
    return Told("output names of Custom Vision") if answer.has(*_NAMES) else None


FORMAT: Final = Format(
    head="custom_vision_detection",
    task="detection",
    build=CustomVisionDetection,
    tell=tell,
    exporters="Custom Vision detection, General (compact) S1",
    layout="`detected_boxes` `[N, 4]` fractions, `detected_classes`, `detected_scores`",
    input={"fit": "stretch", "color": "bgr", "scale": 1.0},
)
