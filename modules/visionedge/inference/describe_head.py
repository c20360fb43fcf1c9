"""Which head reads a model, told by what it answered to one picture.

Shapes alone are not enough: `[1, N, 85]` is decoded from YOLOv5 and raw from YOLOX, and
`[1, N, 6]` is a finished list of boxes or a detector of one class. So the number of rows
is compared with the cells of the grids, and the values with the input's size: decoded
centres are spread over the picture, raw ones are small numbers around their cells.

What fits no head is refused by name, and never read by the nearest one: a detector read
wrongly gives boxes that look nearly right.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import ModelCardError
from visionedge.inference.card import HeadName
from visionedge.inference.custom_vision import named_scores
from visionedge.inference.tensors import Outputs, Signature, squeezed
from visionedge.inference.yolox import grid

_STRIDES: Final = ((8, 16, 32), (8, 16, 32, 64), (4,))
_ANCHORS: Final = 3
"""Of YOLOv5, a cell."""
_MOST_FINISHED_ROWS: Final = 1000
_SPREAD: Final = 1 / 8
"""Of the input's side: centres over a whole picture deviate by 0.29 of it, raw ones by a few
pixels."""


@dataclass(frozen=True, slots=True)
class Told:
    """A head, why it was chosen, and what else was learnt on the way (fields of the card)."""

    head: HeadName
    why: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def tell_head(signature: Signature, outputs: Outputs, size: tuple[int, int], labels: int) -> Told:
    """The head that reads `outputs`.

    Args:
        signature: of the model.
        outputs: what it answered to a picture.
        size: width and height of its input, pixels.
        labels: how many labels are known, 0 if none.

    Raises:
        ModelCardError: no head, or more than one, fits.
    """
    if any(named_scores(output) is not None for output in outputs):
        return Told("custom_vision_classification", "an output maps names to probabilities")
    arrays = {
        spec.name: array
        for spec, array in zip(signature.outputs, outputs, strict=True)
        if isinstance(array, np.ndarray) and array.dtype.kind == "f"
    }
    tables = {n: a for n, a in arrays.items() if a.ndim == 3 and a.shape[0] == 1}
    if len(tables) == 1 and not any(a.ndim == 4 for a in arrays.values()):
        ((name, table),) = tables.items()
        rows = table[0].astype(np.float32)
        # Where the labels contradict every reading, they are the likelier fault: the head says so.
        if (told := _detector(rows, size, labels) or _detector(rows, size, 0)) is not None:
            several = {"output.name": name} if len(outputs) > 1 else {}
            return Told(told.head, told.why, {**told.fields, **several})
    elif len(outputs) == 1 and not tables and len(arrays) == 1:
        ((name, array),) = arrays.items()
        if squeezed(array, 1) is not None:
            return Told("classifier", f"one output of {array.size} numbers")
    shapes = ", ".join(
        f"{spec.name} {np.shape(o)}" for spec, o in zip(signature.outputs, outputs, strict=True)
    )
    raise ModelCardError(
        f"the outputs fit no head: {shapes}",
        hint="export the model with a head that is read (YOLOv5 decoded, v8, 11, 26, YOLOX, "
        "classifier, Custom Vision classification), or name the head in a card",
    )


def _detector(table: NDArray[np.float32], size: tuple[int, int], labels: int) -> Told | None:
    rows, columns = table.shape
    for strides in _STRIDES:
        cells = len(grid(size, strides)[0])
        extra = {} if strides == _STRIDES[0] else {"output.strides": strides}
        if columns == cells and rows > 4 and _agrees(rows - 4, labels):
            why = f"{rows} rows of box and scores over {cells} cells, no objectness"
            return Told("yolo_v8", why, extra)
        if columns > 5 and _agrees(columns - 5, labels):
            if rows == _ANCHORS * cells:
                return _anchored(table, size)
            if rows == cells:
                return _anchor_free(table, size, extra)
    if columns == 6 and rows <= _MOST_FINISHED_ROWS:
        return Told("yolo_end2end", f"{rows} finished boxes with confidence and class")
    return None


def _agrees(classes: int, labels: int) -> bool:
    return labels in (0, classes)


def _anchored(table: NDArray[np.float32], size: tuple[int, int]) -> Told:
    if _is_decoded(table, size):
        return Told("yolo_v5", "three anchors a cell; probed: centres are in pixels")
    raise ModelCardError(
        "this is a YOLOv5 whose boxes are still relative to its anchors",
        hint="export it with the Detect layer in the graph: `export.py --include onnx`",
    )


def _anchor_free(
    table: NDArray[np.float32], size: tuple[int, int], extra: Mapping[str, Any]
) -> Told:
    if _is_decoded(table, size):
        why = "one anchor a cell with objectness; probed: centres are in pixels"
        # The same columns as YOLOv5, but the network and its preprocessing are YOLOX.
        yolox = {"input.color": "bgr", "input.scale": 1.0, "input.fit": "letterbox_top_left"}
        return Told("yolo_v5", why, yolox)
    why = "one anchor a cell with objectness; probed: centres are relative to cells"
    return Told("yolox", why, extra)


def _is_decoded(table: NDArray[np.float32], size: tuple[int, int]) -> bool:
    """True if the centres are in pixels of the input and not relative to something."""
    deviation = table[:, :2].std(axis=0)
    return bool((deviation > np.array(size) * _SPREAD).all())
