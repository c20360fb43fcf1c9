"""Writes the net as ONNX, in the layout that YOLOv8 made common.

Input `images` (1, 3, 384, 640), RGB, letterboxed with grey 114; output `output0`
(1, 4 + classes, cells): cx cy w h in input pixels, then a score a class. Boxes are decoded in
the graph, suppression is left to the reader. Pixels go in as 0..255: the division by 255 is in
the first convolution's weights, so preparing a frame is a copy. The metadata are those that
Ultralytics' exporter writes, and ONNX's own for images, which tell the pixel range: a reader of
both needs no card. A reader that takes every such file for 0..1 must be told.

Sources: ultralytics/engine/exporter.py (metadata keys), ultralytics/nn/modules/head.py (layout);
onnx/docs/MetadataProps.md (Image.*).
"""

import copy
import warnings
from pathlib import Path
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from training.augment import INPUT_HEIGHT, INPUT_WIDTH
from training.calibrate import Line
from training.net import STRIDE, DefectNet, decode_boxes
from visionedge.cameras.defects import DEFECT_LABELS

_OPSET: Final = 17
VERSION: Final = "1"


class _Decoded(nn.Module):
    """The net for pixels of 0..255, calibrated and decoded, with its cells in one row."""

    def __init__(self, net: DefectNet, line: Line) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        with torch.no_grad():
            self.net.stem[0].weight /= 255
            self.net.head.weight[4:] *= line.gain
            self.net.head.bias[4:] = self.net.head.bias[4:] * line.gain + line.offset

    def forward(self, images: Tensor) -> Tensor:
        """(1, 3, h, w) to (1, 4 + classes, cells)."""
        raw = self.net(images)
        boxes, scores = decode_boxes(raw), raw[:, 4:].sigmoid()
        return torch.cat((boxes.flatten(2), scores.flatten(2)), dim=1)


def export_onnx(net: DefectNet, line: Line, path: Path) -> None:
    """Write `net` to `path`, its logits on `line`; the graph carries its own description."""
    example = torch.zeros(1, 3, INPUT_HEIGHT, INPUT_WIDTH)
    with warnings.catch_warnings():
        # The exporter by tracing is deprecated; the other one writes twice as many nodes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Decoded(net, line).eval(), (example,), str(path), dynamo=False, opset_version=_OPSET,
            input_names=["images"], output_names=["output0"],
        )  # fmt: skip
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, _metadata())
    model.producer_name, model.producer_version = "visionedge", VERSION
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _metadata() -> dict[str, str]:
    return {
        "description": "Defects of printed circuit boards, trained on the virtual line",
        "license": "MIT",
        "version": VERSION,
        "task": "detect",
        "stride": str(STRIDE),
        "batch": "1",
        "imgsz": str([INPUT_HEIGHT, INPUT_WIDTH]),
        "names": str(dict(enumerate(DEFECT_LABELS))),
        "Image.BitmapPixelFormat": "Rgb8",
        "Image.NominalPixelRange": "NominalRange_0_255",
    }
