"""A prediction as plain JSON: what `predict --json` prints and golden frames expect.

Boxes are pixels of the original picture, to a tenth; confidences to four digits. Nothing
that a model tells finer than that is the same on two processors.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections, Prediction

TOP = 5
"""Classes that are listed; a classifier of ImageNet has a thousand."""


def as_document(image: str, prediction: Prediction, top: int = TOP) -> dict[str, Any]:
    """One picture's prediction.

    Args:
        image: name of the picture.
        prediction: what the model saw.
        top: how many classes of a classification are listed, best first.
    """
    if isinstance(prediction, Detections):
        return {"image": image, "task": "detection", "detections": _detections(prediction)}
    document: dict[str, Any] = {
        "image": image,
        "task": "classification",
        "classes": _classes(prediction, top),
    }
    if len(prediction.hot):
        document["hot_xyxy"] = [_rounded(box) for box in prediction.hot]
    return document


def _detections(found: Detections) -> Sequence[dict[str, Any]]:
    return [
        {
            "class_id": int(found.class_id[index]),
            "label": found.label(index),
            "confidence": round(float(found.confidence[index]), 4),
            "box_xyxy": _rounded(found.xyxy[index]),
        }
        for index in range(len(found))
    ]


def _rounded(xyxy: NDArray[np.float32]) -> list[float]:
    return [round(float(edge), 1) for edge in xyxy]


def _classes(found: Classification, top: int) -> Sequence[dict[str, Any]]:
    return [
        {"class_id": class_id, "label": found.label(class_id), "confidence": round(confidence, 4)}
        for class_id, confidence in found.top(top)
    ]
