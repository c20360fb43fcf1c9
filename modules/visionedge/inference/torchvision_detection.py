"""torchvision's detectors (SSD, SSDLite, RetinaNet, Faster R-CNN): boxes, labels, scores.

`[N, 4]` boxes in pixels of the input, xyxy; `[N]` labels as whole numbers, in which 0 is the
background and the first class is 1; `[N]` scores. N is free, and suppression is in the graph,
as are the resize to the network's own size and the normalisation. Names are what the
exporter's user gave, so outputs are told by type and shape. The order of boxes, labels and
scores differs between versions.
Source: pytorch/vision, `torchvision/models/detection/ssd.py` (postprocess_detections) and
`generalized_rcnn.py`, with `torch.onnx.export`.
"""

from typing import Final

from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.listed_boxes import (
    ListedBoxes,
    by_kind,
    first_after_background,
    lists_boxes,
)


class TorchvisionDetection(ListedBoxes):
    """Detector with finished boxes in pixels of the input, classes counted from 1."""

    def _first_class(self) -> int:
        return first_after_background(self._card.labels)


def tell(answer: Answer) -> Told | None:
    """One input, and three outputs of the right kinds."""
    places = by_kind(answer.signature.outputs)
    if len(answer.signature.inputs) != 1 or places is None or not lists_boxes(answer, places):
        return None
    return Told("outputs of boxes, scores and whole numbers of classes, and no second input")


FORMAT: Final = Format(
    head="torchvision_detection",
    task="detection",
    build=TorchvisionDetection,
    tell=tell,
    exporters="torchvision SSD, SSDLite, RetinaNet, Faster R-CNN",
    layout="boxes `[N, 4]` pixels, labels `[N]` from 1, scores `[N]`",
    input={"fit": "stretch", "color": "rgb", "scale": 1 / 255},
)
