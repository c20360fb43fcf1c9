"""Classifiers: one number a class, `[1, C]`, `[C]` or `[1, C, 1, 1]`.

Whether the graph ends in logits, a softmax or sigmoids is the card's `output.activation`,
never guessed from a frame: logits of a dull frame can look like probabilities. Where the
card leaves it open, `describe` finds out once, over many pictures, at load.

A single number with two labels is the probability of the second one, as Keras writes
binary classifiers: `Dense(1, activation="sigmoid")`.
"""

from typing import Final

import numpy as np

from visionedge.entities import Classification
from visionedge.errors import ModelRunError
from visionedge.inference.boxes import Floats, Limits
from visionedge.inference.calibration import sigmoid, soften, soften_binary, softmax
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head
from visionedge.inference.tensors import Outputs, Signature, TensorSpec, squeezed

_SLACK = 2e-3
"""Rounding of float16 and quantised graphs, on a probability and on a sum of them."""


class Classifier(Head):
    """Reads one number a class."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        self._index = self._find(is_scores)
        self._labels = card.labels
        sizes = _sizes(signature.outputs[self._index])
        self._check_labels(self._named(sizes[0] if sizes else 1))

    def decode(self, outputs: Outputs, geometry: Geometry) -> Classification:
        """See `ModelAdapter`."""
        scores = self._array(outputs, self._index, 1)
        if not len(scores):
            raise self._wrong_shape(scores)
        if not np.isfinite(scores).all():
            raise ModelRunError("a score is not finite", hint="the model is broken: export it anew")
        if self._labels and len(self._labels) != self._named(len(scores)):
            raise self._wrong_shape(scores)
        confidence = self._confidence(scores)
        if len(scores) == 1 and len(self._labels) == 2:
            confidence = np.array([1 - confidence[0], confidence[0]], np.float32)
        return Classification(confidence, self._labels, self._independent(scores))

    def _named(self, numbers: int | None) -> int | None:
        """How many labels go with an output of so many numbers."""
        return 2 if numbers == 1 and len(self._labels) == 2 else numbers

    def _independent(self, scores: Floats) -> bool:
        return self._card.output.multilabel or (len(scores) == 1 and len(self._labels) != 2)

    def _confidence(self, scores: Floats) -> Floats:
        activation, temperature = self._card.output.activation, self._card.temperature
        if activation == "softmax":
            return softmax(scores / np.float32(temperature))
        if activation == "sigmoid":
            return sigmoid(scores / np.float32(temperature))
        return calibrated(scores, temperature, self._card.output.multilabel)


def calibrated(scores: Floats, temperature: float, multilabel: bool) -> Floats:
    """Probabilities out of the graph, calibrated.

    Raises:
        ModelRunError: they are no probabilities.
    """
    if not (scores.min() >= -_SLACK and scores.max() <= 1 + _SLACK):
        raise ModelRunError(
            f"scores between {scores.min():g} and {scores.max():g} are no probabilities",
            hint="set `output.activation` in the card to softmax or sigmoid",
        )
    probability = np.clip(scores, 0, 1)
    soft = soften_binary if multilabel or len(scores) == 1 else soften
    return soft(probability, temperature)


def is_scores(spec: TensorSpec) -> bool:
    """True for an output that can hold one number a class."""
    return spec.dtype is not None and spec.dtype.kind == "f" and len(_sizes(spec)) <= 1


def _sizes(spec: TensorSpec) -> list[int | None]:
    """The dimensions that are not 1, without a free batch dimension before the others."""
    sizes = [size for size in spec.shape if size != 1]
    return sizes[1:] if len(sizes) > 1 and sizes[0] is None else sizes


def tell(answer: Answer) -> Told | None:
    """One output, one number a class."""
    arrays = list(answer.arrays().values())
    if len(answer.outputs) != 1 or len(arrays) != 1 or squeezed(arrays[0], 1) is None:
        return None
    return Told(f"one output of {arrays[0].size} numbers")


FORMAT: Final = Format(
    head="classifier",
    task="classification",
    build=Classifier,
    tell=tell,
    exporters="PyTorch, Keras, Caffe, Ultralytics classify, newer Custom Vision",
    layout="`[1, C]`, `[C]` or `[1, C, 1, 1]`; one number for two classes",
    input={"fit": "stretch"},
    is_probed=True,
)
