"""FastestDet: `[1, 5 + C, H, W]`, one grid of stride 16.

Each cell has an objectness, two offsets of its centre (tanh, in cells), width and height
(sigmoid, fractions of the input), and C class probabilities; objectness and classes have
their activation in the graph. The confidence weighs them as
`objectness ** 0.6 * class ** 0.4`.
Source: dog-qiuqiu/FastestDet, `example/onnx-runtime/runtime.py` and `utils/tool.py`.
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.inference.boxes import Floats, Limits, candidates, xywh_to_xyxy
from visionedge.inference.calibration import sigmoid
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, finite, is_number
from visionedge.inference.tensors import Outputs, Signature

_STRIDE: Final = 16
_OBJECTNESS, _CLASS = 0.6, 0.4
"""Exponents of the confidence."""


class FastestDet(Head):
    """Detector with one grid and weighted scores."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(lambda spec: is_number(spec, 4))
        self._check_labels(_classes(signature, 0))

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        planes = self._array(outputs, self._index, 3)
        labels = len(self._card.labels)
        if len(planes) < 6 or not planes.size or (labels and len(planes) != 5 + labels):
            raise self._wrong_shape(planes)
        # What is no number comes out as none, and `candidates` finds it.
        with np.errstate(invalid="ignore", over="ignore"):
            score = planes[0] ** _OBJECTNESS * planes[5:].max(axis=0) ** _CLASS
        chosen = candidates(score.ravel(), self._limits, self._card.temperature)
        y, x = np.unravel_index(chosen, score.shape)
        cells = finite(planes[:, y, x])
        return self._detections(
            self._xyxy(cells, np.stack([x, y]), planes.shape[:0:-1]),
            score[y, x],
            cells[5:].argmax(axis=0).astype(np.int32),
            geometry,
        )

    def _xyxy(self, values: Floats, cell: Floats, grid: tuple[int, ...]) -> Floats:
        """Boxes in pixels, of (5 + C, n) values in (2, n) cells of a grid of so many."""
        size = np.array(self._writer.size, np.float32)[:, None]
        xywh = np.empty((4, values.shape[1]), np.float32)
        xywh[:2] = (cell + np.tanh(values[1:3])) * size / np.array(grid)[:, None]
        xywh[2:] = sigmoid(values[3:5]) * size
        return xywh_to_xyxy(xywh.T)


def tell(answer: Answer) -> Told | None:
    """One output of planes over a grid of stride 16."""
    arrays = list(answer.arrays().values())
    grid = (answer.size[1] // _STRIDE, answer.size[0] // _STRIDE)
    if len(answer.outputs) != 1 or len(arrays) != 1 or arrays[0].ndim != 4:
        return None
    if arrays[0].shape[2:] != grid or not answer.agrees(arrays[0].shape[1] - 5):
        return None
    return Told(f"{arrays[0].shape[1]} planes over one grid of stride {_STRIDE}")


def _classes(signature: Signature, _masks: int) -> int | None:
    planes = next((spec.shape[1] for spec in signature.outputs if len(spec.shape) == 4), None)
    return None if planes is None else planes - 5


FORMAT: Final = Format(
    head="fastestdet",
    task="detection",
    build=FastestDet,
    tell=tell,
    exporters="FastestDet",
    layout="`[1, 5 + C, H, W]`, stride 16",
    input={"fit": "stretch", "color": "bgr", "scale": 1 / 255},
    classes=_classes,
)
