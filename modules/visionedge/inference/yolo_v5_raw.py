"""YOLOv5, v7 and YOLOv5-Lite before their Detect layer: boxes relative to cell and anchor.

Three layouts of the same numbers, anchors outermost in each:

    [1, N, 5 + C]            a table of all grids, after its sigmoid (YOLOv5-Lite). It has the
                             shape of a decoded YOLOv5 and is told from it by its values
    [1, 3, H, W, 5 + C]      a grid a stride, before its sigmoid (`export.py --train`)
    [1, 3 * (5 + C), H, W]   the same, cut off before the permutation, as compilers of NPUs do

With v after the sigmoid: centre `(2 v - 0.5 + cell) * stride`, size `(2 v)^2 * anchor`,
confidence objectness times class. Anchors are YOLOv5's unless `output.anchors` says others:
v7 has its own, and a model trained with autoanchor has some that only its author knows.
Source: ultralytics/yolov5, `models/yolo.py` (Detect) and `models/yolov5s.yaml`;
ppogg/YOLOv5-Lite, `python_demo/onnxruntime`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Floats, Limits, candidates, xywh_to_xyxy
from visionedge.inference.calibration import sigmoid
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Format, Told, columns_after
from visionedge.inference.geometry import Geometry
from visionedge.inference.grid import USUAL_STRIDES, grid
from visionedge.inference.head import Head, finite, is_number
from visionedge.inference.tensors import Outputs, Signature
from visionedge.inference.yolo_v5 import ANCHORS_A_CELL, YOLO_INPUT

_ANCHORS_PX: Final = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)  # fmt: skip
_MOST: Final = 1e4
"""No value after a sigmoid is near it, and its square times an anchor is still a number."""


class YoloV5Raw(Head):
    """Detector whose boxes are still relative to cells and anchors."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._strides = card.output.strides
        self._anchors = self._of_each_stride(card.output.anchors or sum(_ANCHORS_PX, ()))
        grids = [i for i, s in enumerate(signature.outputs) if is_number(s, 4) or is_number(s, 5)]
        self._table: int | None = None
        if card.output.name or len(grids) != len(self._strides):
            self._table = self._find(lambda spec: is_number(spec, 3))
            columns = signature.outputs[self._table].shape[2]
            self._check_labels(columns - 5 if columns is not None else None)
        self._grids = grids
        # Grids of their own come before the sigmoid, a table after it, unless the card says.
        activation = card.output.activation
        self._has_logits = activation == "sigmoid" or (activation == "auto" and self._table is None)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        found = [
            self._level(level, stride, anchors)
            for level, stride, anchors in zip(
                self._levels(outputs), self._strides, self._anchors, strict=True
            )
        ]
        boxes, confidence, classes = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return self._detections(boxes, confidence, classes, geometry)

    def _level(
        self, level: Floats, stride: int, anchors: Floats
    ) -> tuple[Floats, Floats, NDArray[np.int32]]:
        """Candidates of one grid, (anchors, h, w, 5 + C): boxes, confidence, class."""
        objectness = self._activated(level[..., 4].ravel())
        rows = candidates(objectness, self._limits, self._card.temperature)
        anchor, y, x = np.unravel_index(rows, level.shape[:3])
        chosen = self._activated(finite(level[anchor, y, x]))
        # What overflows is no probability, and `candidates` finds it.
        with np.errstate(over="ignore"):
            scores = chosen[:, 5:] * objectness[rows, None]
        best = scores.max(axis=1)
        kept = candidates(best, self._limits, self._card.temperature)
        relative = np.clip(chosen[kept, :4], -_MOST, _MOST) * 2
        xywh = np.empty_like(relative)
        xywh[:, :2] = (relative[:, :2] - 0.5 + np.stack([x, y], axis=1)[kept]) * stride
        xywh[:, 2:] = relative[:, 2:] ** 2 * anchors[anchor[kept]]
        return xywh_to_xyxy(xywh), best[kept], scores[kept].argmax(axis=1).astype(np.int32)

    def _activated(self, values: Floats) -> Floats:
        return sigmoid(values) if self._has_logits else values

    def _levels(self, outputs: Outputs) -> list[Floats]:
        """Views of (anchors, h, w, 5 + C), one a stride."""
        width, height = self._writer.size
        shapes = [(height // stride, width // stride) for stride in self._strides]
        if self._table is not None:
            parts = self._split(self._array(outputs, self._table, 2), shapes)
        else:
            by_shape = dict(self._grid(outputs, index) for index in self._grids)
            if by_shape.keys() != set(shapes):
                raise self._not_these(sorted(by_shape), shapes)
            parts = [by_shape[shape] for shape in shapes]
        columns = parts[0].shape[3]
        labels = len(self._card.labels)
        is_even = all(part.shape[3] == columns for part in parts)
        if not is_even or columns < 6 or (labels and columns != 5 + labels):
            raise self._wrong_shape(parts[0])
        return parts

    def _split(self, table: Floats, shapes: list[tuple[int, int]]) -> list[Floats]:
        counts = [len(a) * h * w for a, (h, w) in zip(self._anchors, shapes, strict=True)]
        if len(table) != sum(counts) or not table.size:
            raise self._not_these([table.shape], shapes)
        parts = np.split(table, np.cumsum(counts)[:-1])
        return [
            p.reshape(-1, h, w, table.shape[1]) for p, (h, w) in zip(parts, shapes, strict=True)
        ]

    def _grid(self, outputs: Outputs, index: int) -> tuple[tuple[int, ...], Floats]:
        anchors = len(self._anchors[0])
        if len(self._signature.outputs[index].shape) == 5:
            level = self._array(outputs, index, 4)
        else:
            planes = self._array(outputs, index, 3)
            if len(planes) % anchors or not planes.size:
                raise self._wrong_shape(planes)
            level = planes.reshape(anchors, -1, *planes.shape[1:]).transpose(0, 2, 3, 1)
        if len(level) != anchors or not level.size:
            raise self._wrong_shape(level)
        return level.shape[1:3], level

    def _of_each_stride(self, anchors: tuple[tuple[float, float], ...]) -> list[Floats]:
        if len(anchors) % len(self._strides):
            raise ModelCardError(
                f"{len(anchors)} anchors for {len(self._strides)} strides",
                hint="set `output.anchors` in the card: as many for each of `output.strides`",
            )
        return np.split(np.array(anchors, np.float32), len(self._strides))

    def _not_these(self, found: object, shapes: list[tuple[int, int]]) -> ModelRunError:
        return ModelRunError(
            f"outputs of {found} where strides {self._strides} have grids of {shapes}",
            hint="set `output.strides` in the card, or another `head`",
        )


def tell(answer: Answer) -> Told | None:
    """Rows of three anchors a cell that are no pixels; or three grids of their own."""
    return _tell_table(answer) or _tell_grids(answer)


def _tell_table(answer: Answer) -> Told | None:
    table = answer.table()
    if table is None or table.masks or not answer.agrees(table.values.shape[1] - 5):
        return None
    cells = len(grid(answer.size, USUAL_STRIDES[0])[0])
    if len(table.values) != ANCHORS_A_CELL * cells or table.is_decoded(answer.size):
        return None
    activation = "none" if table.is_unit else "sigmoid"
    why = (
        "three anchors a cell; probed: centres are no pixels but relative to cells, and values "
        f"lie between {table.values.min():.3g} and {table.values.max():.3g}"
    )
    return Told(why, answer.fields_of(table, {"output.activation": activation}))


def _tell_grids(answer: Answer) -> Told | None:
    arrays = list(answer.arrays().values())
    width, height = answer.size
    wanted = {(height // stride, width // stride) for stride in USUAL_STRIDES[0]}
    planes = [a[0].shape for a in arrays if a.ndim in (4, 5) and len(a) == 1]
    if len(planes) != len(arrays) or len(arrays) != len(wanted):
        return None
    shapes = {shape[1:3] for shape in planes}
    numbers = {shape[3] if len(shape) == 4 else shape[0] // ANCHORS_A_CELL for shape in planes}
    if shapes != wanted or len(numbers) != 1 or not answer.agrees(numbers.pop() - 5):
        return None
    is_unit = all(array.min() >= 0 and array.max() <= 1 for array in arrays)
    why = "a grid a stride, of three anchors a cell"
    return Told(why, {"output.activation": "none" if is_unit else "sigmoid"})


def _classes(signature: Signature, masks: int) -> int | None:
    for spec in signature.outputs:
        if len(spec.shape) == 5 and spec.shape[4] is not None:
            return spec.shape[4] - 5
        if len(spec.shape) == 4 and spec.shape[1] is not None:
            return spec.shape[1] // ANCHORS_A_CELL - 5
    return columns_after(5, axis=2)(signature, masks)


FORMAT: Final = Format(
    head="yolo_v5_raw",
    task="detection",
    build=YoloV5Raw,
    tell=tell,
    exporters="YOLOv5-Lite; YOLOv5 and v7 cut off before their Detect layer",
    layout="`[1, N, 5 + C]`, three `[1, 3, H, W, 5 + C]` or `[1, 3 (5 + C), H, W]`, relative",
    input=YOLO_INPUT,
    classes=_classes,
)
