"""DETR queries before their last step: class scores, and boxes as centres and fractions.

Two layouts of Q queries (300 mostly):

    [1, Q, 4 + C]                    RT-DETR by Ultralytics; scores are after their sigmoid
    [1, Q, 4] and [1, Q, C (+ 1)]    `pred_boxes` and `logits` of Hugging Face Optimum,
                                     `dets` and `labels` of RF-DETR; scores are logits

Boxes are centre x, centre y, width, height as fractions of the input. Logits pass a sigmoid
each; those of the first DETR pass a softmax with "no object" as the last class, which
`output.activation` = softmax says. Queries need no suppression.
Source: ultralytics, `nn/modules/head.py` (RTDETRDecoder); huggingface/transformers,
`models/detr` and `models/rt_detr` (post_process_object_detection); roboflow/rf-detr, `export`.
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.inference.boxes import Floats, Limits, candidates, xywh_to_xyxy
from visionedge.inference.calibration import sigmoid, softmax
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Fields, Format, Told
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, finite, is_number
from visionedge.inference.tensors import Outputs, Signature

_PAIRS: Final = (("pred_boxes", "logits"), ("dets", "labels"))
_MOST_QUERIES: Final = 1000
_MOST: Final = 1e4
_LARGEST: Final = 1.5
"""A box may reach out of the picture, and never so far."""
_IMAGENET: Final[Fields] = {
    "input.mean": (0.485, 0.456, 0.406),
    "input.std": (0.229, 0.224, 0.225),
    "input.scale": 1 / 255,
}


class DetrQueries(Head):
    """Detector with queries whose boxes are fractions."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        named = _pair([spec.name for spec in signature.outputs])
        self._boxes, self._scores = named or (self._find(lambda spec: is_number(spec, 3)),) * 2
        self._is_table = named is None
        self._activation = card.output.activation
        if self._activation == "auto":
            self._activation = "none" if self._is_table else "sigmoid"
        columns = signature.outputs[self._scores].shape[2]
        if columns is not None:
            self._check_labels(columns - 4 * self._is_table - self._dropped)
        self._scale = np.array([*self._writer.size, *self._writer.size], np.float32)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        table = self._array(outputs, self._scores, 2)
        boxes = table[:, :4] if self._is_table else self._array(outputs, self._boxes, 2)
        scores = self._activated(finite(table[:, 4:] if self._is_table else table))
        labels = len(self._card.labels)
        if boxes.shape != (len(scores), 4) or not scores.shape[1]:
            raise self._wrong_shape(table)
        if labels and scores.shape[1] != labels:
            raise self._wrong_shape(table)
        chosen = candidates(scores.max(axis=1), self._limits, self._card.temperature)
        return self._detections(
            xywh_to_xyxy(np.clip(finite(boxes[chosen]), -_MOST, _MOST) * self._scale),
            scores[chosen].max(axis=1),
            scores[chosen].argmax(axis=1).astype(np.int32),
            geometry,
            suppress=False,
        )

    @property
    def _dropped(self) -> int:
        """How many of the last classes are no class."""
        return 1 if self._activation == "softmax" else 0

    def _activated(self, scores: Floats) -> Floats:
        if self._activation == "softmax" and scores.shape[1]:
            return softmax(np.clip(scores, -_MOST, _MOST))[:, :-1]
        return sigmoid(scores) if self._activation == "sigmoid" else scores


def _pair(names: list[str]) -> tuple[int, int] | None:
    """Places of boxes and logits by the names that exporters give them."""
    for boxes, scores in _PAIRS:
        if boxes in names and scores in names:
            return names.index(boxes), names.index(scores)
    return None


def tell(answer: Answer) -> Told | None:
    """Named logits and boxes; or a table of few rows and nothing but fractions."""
    if (pair := _pair([spec.name for spec in answer.signature.outputs])) is not None:
        return _tell_pair(answer, *pair)
    table = answer.table()
    if table is None or table.masks or not answer.agrees(table.values.shape[1] - 4):
        return None
    if len(table.values) > _MOST_QUERIES or not 0 < np.abs(table.values).max() < _LARGEST:
        return None
    if table.values[:, 4:].min() < 0:
        return None
    why = f"{len(table.values)} queries; probed: boxes and scores are fractions"
    return Told(why, answer.fields_of(table))


def _tell_pair(answer: Answer, boxes_at: int, logits_at: int) -> Told | None:
    boxes, logits = (np.asarray(answer.outputs[place]) for place in (boxes_at, logits_at))
    if boxes.ndim != 3 or boxes.shape[2] != 4 or logits.shape[:2] != boxes.shape[:2]:
        return None
    nothing = logits.shape[2] - 1
    is_first_detr = bool((logits.argmax(axis=2) == nothing).mean() > 1 / 2)
    name = answer.signature.outputs[boxes_at].name
    fields = _IMAGENET if is_first_detr or name == "dets" else {}
    activation = "softmax" if is_first_detr else "sigmoid"
    why = f"outputs `{name}` and logits; probed: most queries " + (
        "say the last class, no object" if is_first_detr else "have no class in common"
    )
    return Told(why, {**fields, "output.activation": activation})


def _classes(signature: Signature, _masks: int) -> int | None:
    pair = _pair([spec.name for spec in signature.outputs])
    if pair is not None:
        # A last class for no object may be among them, so they are not counted.
        return None
    table = next((spec for spec in signature.outputs if len(spec.shape) == 3), None)
    return None if table is None or table.shape[2] is None else table.shape[2] - 4


FORMAT: Final = Format(
    head="detr_queries",
    task="detection",
    build=DetrQueries,
    tell=tell,
    exporters="RT-DETR by Ultralytics; DETR and RT-DETR by Optimum; RF-DETR",
    layout="`[1, Q, 4 + C]`; or `pred_boxes` `[1, Q, 4]` and `logits` `[1, Q, C]`; fractions",
    input={"fit": "stretch", "color": "rgb", "scale": 1 / 255},
    classes=_classes,
)
