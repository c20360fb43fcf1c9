"""What heads share whose graph lists finished boxes: one output each of boxes, scores, classes.

Suppression is in the graph, or the network needs none. The heads differ in the order and
unit of the coordinates, in the number of the first class, and in how outputs are found.
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.errors import ModelCardError
from visionedge.inference.boxes import Floats, Limits, candidates
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, plain
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, finite
from visionedge.inference.tensors import Outputs, Signature, TensorSpec

_MOST: Final = 1e8
"""Far beyond any picture, and its product with a picture's side still a number."""
_BACKGROUND: Final = ("background", "__background__")


class ListedBoxes(Head):
    """Base of heads that read boxes (N, 4), scores (N,) and classes (N,)."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._boxes, self._scores, self._classes = self._places(signature)
        self._size: Floats = np.array([*self._writer.size, *self._writer.size], np.float32)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        boxes = self._array(outputs, self._boxes, 2)
        scores = self._array(outputs, self._scores, 1)
        classes = self._array(outputs, self._classes, 1)
        if boxes.shape != (len(scores), 4) or len(classes) != len(scores):
            raise self._wrong_shape(boxes)
        chosen = candidates(scores[: self._count(outputs, len(scores))], self._limits,
                            self._card.temperature)  # fmt: skip
        xyxy = self._xyxy(np.clip(finite(boxes[chosen]), -_MOST, _MOST))
        class_id = self._class_ids(classes[chosen] - self._first_class())
        return self._detections(xyxy, scores[chosen], class_id, geometry, suppress=False)

    def _places(self, signature: Signature) -> tuple[int, int, int]:
        """Which outputs are boxes, scores and classes: here by their types and dimensions."""
        places = by_kind(signature.outputs)
        if places is None:
            raise self._none_fits("boxes, scores and whole numbers of classes")
        return places

    def _xyxy(self, boxes: Floats) -> Floats:
        """Boxes (n, 4) of the model as xyxy, pixels of the input."""
        return boxes

    def _first_class(self) -> int:
        """What the model calls the first of the labels."""
        return 0

    def _count(self, _outputs: Outputs, listed: int) -> int:
        """How many of the listed boxes count."""
        return listed

    def _named(self, *names: str) -> tuple[int, ...]:
        there = [plain(spec.name) for spec in self._signature.outputs]
        if missing := [name for name in names if name not in there]:
            raise self._none_fits(", ".join(missing))
        return tuple(there.index(name) for name in names)

    def _none_fits(self, wanted: str) -> ModelCardError:
        return ModelCardError(
            f"no outputs for {wanted}: {self._signature}",
            hint="set `head` in the card to what the exporter wrote",
        )


def first_after_background(labels: tuple[str, ...]) -> int:
    """The number of the first label where models count from 1, the background being 0.

    Label lists come with and without that background.
    """
    return 0 if labels and labels[0].lower() in _BACKGROUND else 1


def by_kind(outputs: tuple[TensorSpec, ...]) -> tuple[int, int, int] | None:
    """Boxes, scores and classes among three outputs: classes are whole, boxes have more axes."""
    if len(outputs) != 3 or any(spec.dtype is None for spec in outputs):
        return None
    whole = [
        i for i, spec in enumerate(outputs) if spec.dtype is not None and spec.dtype.kind in "iu"
    ]
    real = [i for i in range(3) if i not in whole]
    if len(whole) != 1:
        return None
    scores, boxes = sorted(real, key=lambda i: len(outputs[i].shape))
    ranks = [len(outputs[i].shape) for i in (scores, whole[0], boxes)]
    return (boxes, scores, whole[0]) if ranks[0] == ranks[1] == ranks[2] - 1 else None


def lists_boxes(answer: Answer, places: tuple[int, ...]) -> bool:
    """True if what was answered has the shapes of boxes, scores and classes."""
    boxes, scores, classes = (np.asarray(answer.outputs[place]) for place in places)
    return bool(boxes.shape[-1:] == (4,) and boxes.shape[:-1] == scores.shape == classes.shape)


def from_yxyx(boxes: Floats) -> Floats:
    """(n, 4) y1 x1 y2 x2 as x1 y1 x2 y2."""
    return boxes[:, [1, 0, 3, 2]]
