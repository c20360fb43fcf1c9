"""Custom Vision classification, ONNX export of 2018 to 2020: `classLabel` and `loss`.

`classLabel` is a tensor with the winning name; `loss` is a sequence of one map from name
to probability, which the runtime gives as a list of one dictionary. The map is sorted by
name and not by the number of the label, so the order is the card's. Multilabel projects
end in sigmoids: their values need not sum to one, and `classLabel` is only the largest.
Source: Azure-Samples/customvision-export-samples, ONNX classification; OnnxMLTools ZipMap.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from visionedge.entities import Classification
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.card import ModelCard
from visionedge.inference.classifier import calibrated
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head
from visionedge.inference.tensors import Outputs, Signature


class CustomVisionClassification(Head):
    """Reads a map of class names to probabilities."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        if not card.labels:
            raise ModelCardError(
                "the card has no labels, and this head looks classes up by name",
                hint="put the export's labels.txt beside the model",
            )
        self._index = self._find(lambda spec: spec.dtype is None and not spec.shape)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Classification:
        """See `ModelAdapter`."""
        labels = self._card.labels
        by_name = named_scores(outputs[self._index])
        if by_name is None or by_name.keys() != set(labels):
            raise ModelRunError(
                f"the model names {sorted(by_name or ())}, the card {sorted(labels)}",
                hint="mend `labels` in the card: they must be the names in the model",
            )
        scores = np.array([by_name[label] for label in labels], np.float32)
        multilabel = self._card.output.multilabel
        return Classification(
            calibrated(scores, self._card.temperature, multilabel), labels, multilabel
        )


def named_scores(output: object) -> Mapping[str, float] | None:
    """The map in such an output, or None where it is something else.

    Raises:
        ModelRunError: a probability is not finite.
    """
    if not (isinstance(output, list) and len(output) == 1 and isinstance(output[0], dict)):
        return None
    scores = {str(name): float(score) for name, score in output[0].items()}
    if not all(math.isfinite(score) for score in scores.values()):
        raise ModelRunError("a score is not finite", hint="the model is broken: export it anew")
    return scores


def tell(answer: Answer) -> Told | None:
    """A map of names is nobody else's."""
    if any(named_scores(output) is not None for output in answer.outputs):
        return Told("an output maps names to probabilities")
    return None


FORMAT: Final = Format(
    head="custom_vision_classification",
    task="classification",
    build=CustomVisionClassification,
    tell=tell,
    exporters="Custom Vision classification, exports of 2018 to 2020",
    layout="`classLabel`, and `loss`: a map of names to probabilities",
    input={"fit": "stretch", "color": "bgr", "scale": 1.0},
    is_probed=True,
)
