"""YOLOX: `[1, N, 5 + C]`, raw boxes on one anchor a cell, objectness and class scores.

The columns are those of YOLOv5, but a box is still relative to its cell: centre
`(v + cell) * stride`, size `exp(v) * stride`. The rows go through the strides of the card
(8, 16, 32: 3549 rows at 416), and through each grid line by line. Objectness and class
scores are after their sigmoid. The model takes pixels of 0..255 in BGR, letterboxed to the
top left.
Source: Megvii-BaseDetection/YOLOX, `tools/export_onnx.py` and
`yolox/utils/demo_utils.py` (demo_postprocess).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import ModelRunError
from visionedge.inference.boxes import Floats, Limits, xywh_to_xyxy
from visionedge.inference.card import ModelCard
from visionedge.inference.tensors import Signature
from visionedge.inference.yolo_v5 import YoloV5

_MOST_EXPONENT: Final = 80


class YoloX(YoloV5):
    """Detector with the output of YOLOX as exported by default."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._cells, self._strides = grid(self._writer.size, card.output.strides)

    def _xyxy(self, table: Floats, rows: NDArray[np.intp]) -> Floats:
        if len(table) != len(self._cells):
            raise ModelRunError(
                f"{len(table)} rows where strides {self._card.output.strides} have "
                f"{len(self._cells)} cells",
                hint="set `output.strides` in the card, or another `head`",
            )
        xywh, stride = table[rows, :4], self._strides[rows, None]
        xywh[:, :2] += self._cells[rows]
        # Beyond this, the exponential would overflow; what is near it is refused as a box.
        np.exp(np.minimum(xywh[:, 2:], _MOST_EXPONENT), out=xywh[:, 2:])
        xywh *= stride
        return xywh_to_xyxy(xywh)


def grid(size: tuple[int, int], strides: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The cells of all strides, in the order of the rows.

    Args:
        size: width and height of the input, pixels.
        strides: pixels a cell.

    Returns:
        Column and row of each cell, (n, 2) float32; and its stride, (n,) float32.
    """
    cells, lengths = [], []
    for stride in strides:
        x, y = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride))
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        lengths.append(np.full(x.size, stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(lengths).astype(np.float32)
