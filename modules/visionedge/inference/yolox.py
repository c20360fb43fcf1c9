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
from visionedge.inference.format import Answer, Format, Told, columns_after
from visionedge.inference.grid import USUAL_STRIDES, grid
from visionedge.inference.tensors import Signature
from visionedge.inference.yolo_v5 import YoloV5

_MOST_EXPONENT: Final = 80


class YoloX(YoloV5):
    """Detector with the output of YOLOX as exported by default."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        cells, strides = grid(self._writer.size, card.output.strides)
        # In one array, so that they are looked up at once.
        self._places = np.column_stack([cells, strides])

    def _xyxy(self, xywh: Floats, rows: NDArray[np.intp], count: int) -> Floats:
        if count != len(self._places):
            raise ModelRunError(
                f"{count} rows where strides {self._card.output.strides} have "
                f"{len(self._places)} cells",
                hint="set `output.strides` in the card, or another `head`",
            )
        place, size = self._places.take(rows, axis=0), xywh[:, 2:]
        xywh[:, :2] += place[:, :2]
        # Beyond this, the exponential would overflow; what is near it is refused as a box.
        np.exp(np.minimum(size, _MOST_EXPONENT, out=size), out=size)
        with np.errstate(over="ignore"):
            xywh *= place[:, 2:]
        return xywh_to_xyxy(xywh)


def tell(answer: Answer) -> Told | None:
    """One row a cell, with objectness, and centres that are still relative to cells."""
    table = answer.table()
    if table is None or not answer.agrees(table.values.shape[1] - 5 - table.masks):
        return None
    for strides in USUAL_STRIDES:
        if len(table.values) == len(grid(answer.size, strides)[0]):
            if table.is_decoded(answer.size):
                return None
            extra = {} if strides == USUAL_STRIDES[0] else {"output.strides": strides}
            why = "one anchor a cell with objectness; probed: centres are relative to cells"
            return Told(why, answer.fields_of(table, extra))
    return None


FORMAT: Final = Format(
    head="yolox",
    task="detection",
    build=YoloX,
    tell=tell,
    exporters="YOLOX, as exported by default",
    layout="`[1, N, 5 + C]`, one row a cell, relative to it",
    input={"fit": "letterbox_top_left", "color": "bgr", "scale": 1.0, "pad": 114},
    classes=columns_after(5, axis=2),
)
