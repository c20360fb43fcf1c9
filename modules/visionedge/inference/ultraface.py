"""UltraFace: `[1, N, 1 + C]` scores with the background first, and `[1, N, 4]` boxes.

Scores are after their softmax; boxes are corners as fractions of the input, decoded in the
graph. UltraFace has one class, the face. Other models of the same family (pytorch-ssd) have
more. The order of the two outputs does not matter: boxes are the one with four columns, or the
one that `output.name` says.
Source: Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, `detect_imgs_onnx.py`;
qfgaohao/pytorch-ssd, `vision/ssd/ssd.py` (is_test).
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.inference.boxes import Limits, candidates
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Fields, Format, Told, is_unit
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, finite, is_number
from visionedge.inference.tensors import Outputs, Signature, TensorSpec

_MOST: Final = 1e4
_SLACK: Final = 0.02
_OF_ONE_CLASS: Final = 2
"""Scores; and a model of this family with one class looks for faces."""


class UltraFace(Head):
    """Detector with a background class and boxes as fractions."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._boxes = self._find(_is_boxes)
        others = (
            i for i, s in enumerate(signature.outputs) if i != self._boxes and is_number(s, 3)
        )
        self._scores = next(others, self._boxes)
        columns = signature.outputs[self._scores].shape[-1]
        self._check_labels(columns - 1 if columns is not None else None)
        self._scale = np.array([*self._writer.size, *self._writer.size], np.float32)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        boxes = self._array(outputs, self._boxes, 2)
        scores = self._array(outputs, self._scores, 2)[:, 1:]
        labels = len(self._card.labels)
        if boxes.shape != (len(scores), 4) or not scores.shape[1]:
            raise self._wrong_shape(boxes)
        if labels and scores.shape[1] != labels:
            raise self._wrong_shape(scores)
        chosen = candidates(scores.max(axis=1), self._limits, self._card.temperature)
        return self._detections(
            np.clip(finite(boxes[chosen]), -_MOST, _MOST) * self._scale,
            scores[chosen].max(axis=1),
            scores[chosen].argmax(axis=1).astype(np.int32),
            geometry,
        )


def tell(answer: Answer) -> Told | None:
    """Two outputs over the same rows: four fractions, and scores that sum to one."""
    arrays = answer.arrays()
    if len(answer.outputs) != 2 or [array.ndim for array in arrays.values()] != [3, 3]:
        return None
    names = list(arrays)
    for boxes, scores in (names, names[::-1]):
        rows, classes = arrays[scores].shape[1:]
        if arrays[boxes].shape[1:] != (rows, 4) or not answer.agrees(classes - 1):
            continue
        if is_unit(arrays[scores]) and np.allclose(arrays[scores].sum(axis=2), 1, atol=_SLACK):
            why = f"{rows} boxes with scores that sum to one, so one is the background"
            faces = {"labels": ("face",)} if classes == _OF_ONE_CLASS else {}
            return Told(why, {"output.name": boxes, **faces})
    return None


def _is_boxes(spec: TensorSpec) -> bool:
    return is_number(spec, 3) and spec.shape[2] == 4


_INPUT: Final[Fields] = {
    "fit": "stretch",
    "color": "rgb",
    "scale": 1 / 128,
    "mean": (127 / 128,),
    "std": (),
}
FORMAT: Final = Format(
    head="ultraface",
    task="detection",
    build=UltraFace,
    tell=tell,
    exporters="UltraFace, pytorch-ssd",
    layout="`[1, N, 1 + C]` with background, `[1, N, 4]` fractions",
    input=_INPUT,
)
