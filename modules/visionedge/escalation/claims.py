"""What the module says it saw, as a message says it: relative to the picture that is sent.

A verifier sees that picture and nothing else, so a box that is mostly outside of it is not
claimed, and one that is cut by its border is claimed as far as it is inside. Claims are
bounded in bytes, the doubtful ones first, because body and picture share one message.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections, Prediction
from visionedge.escalation.jpeg import Area
from visionedge.escalation.judging import doubted, is_independent
from visionedge.wire import MAX_OBJECTS, DetectedObject, NamedClass, PredictionBody

MAX_BYTES: Final = 48 * 1024
"""Of all claims in one message: some 400 boxes; the picture has the rest."""
_LEAST_INSIDE: Final = 0.5
TOP_CLASSES: Final = 10
"""Of a classification in one message."""
_LABEL_CHARS: Final = 256
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one message.

    Attributes:
        body: as it is sent.
        doubted: for each detection or class of `body`, in its order: it is below the
            threshold from which it would have been taken.
        independent: each class is judged by itself; always True for detections.
    """

    body: PredictionBody
    doubted: tuple[bool, ...]
    independent: bool


def make_claims(
    prediction: Prediction, accept: NDArray[np.float32], floor: float, area: Area
) -> Claims:
    """The claims of `prediction` about the part `area` of its frame.

    Args:
        prediction: boxes in pixels of the frame, or classes.
        accept: the threshold of each box or class, (n,) float32.
        floor: confidence below which a box, or a class that stands by itself, is noise.
        area: what is sent of the frame.
    """
    unsure = doubted(prediction, accept)
    noise = prediction.confidence < floor
    if isinstance(prediction, Classification):
        return _of_classes(prediction, unsure, noise)
    return _of_boxes(prediction, unsure, noise, area)


def _of_boxes(
    prediction: Detections, unsure: NDArray[np.bool_], noise: NDArray[np.bool_], area: Area
) -> Claims:
    boxes, inside = _within(prediction.xyxy, area)
    objects = {
        i: DetectedObject(
            class_id=int(prediction.class_id[i]),
            label=prediction.label(i)[:_LABEL_CHARS],
            confidence=_exact(prediction.confidence[i]),
            box=(_unit(boxes[i, 0]), _unit(boxes[i, 1]), _unit(boxes[i, 2]), _unit(boxes[i, 3])),
        )
        for i in np.flatnonzero(inside & ~noise).tolist()
    }
    kept = _fitting(objects, unsure)
    body = PredictionBody(task="detection", detections=[objects[i] for i in kept])
    return Claims(body, tuple(bool(unsure[i]) for i in kept), independent=True)


def _of_classes(
    prediction: Classification, unsure: NDArray[np.bool_], noise: NDArray[np.bool_]
) -> Claims:
    # Classes that compete always claim something: the runners-up say between what it wavers.
    independent = is_independent(prediction)
    classes = {
        i: NamedClass(class_id=i, label=prediction.label(i)[:_LABEL_CHARS], confidence=_exact(p))
        for i, p in prediction.top(TOP_CLASSES)
        if not (independent and noise[i])
    }
    body = PredictionBody(task="classification", classes=list(classes.values()))
    return Claims(body, tuple(bool(unsure[i]) for i in classes), independent)


def _within(xyxy: NDArray[np.float32], area: Area) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes relative to `area` (0..1, cut at its border), and which of them are inside it."""
    x1, y1, x2, y2 = area
    cut = np.clip(xyxy.astype(np.float64), (x1, y1, x1, y1), (x2, y2, x2, y2))
    inside = _sizes(cut) >= _LEAST_INSIDE * _sizes(xyxy)
    return (cut - (x1, y1, x1, y1)) / (x2 - x1, y2 - y1, x2 - x1, y2 - y1), inside


def _sizes(xyxy: NDArray[np.floating]) -> NDArray[np.floating]:
    return (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])


def _fitting(objects: dict[int, DetectedObject], unsure: NDArray[np.bool_]) -> list[int]:
    """Those that fit the bytes, the doubtful first, in their old order."""
    kept: list[int] = []
    left = MAX_BYTES
    for i in sorted(objects, key=lambda i: not unsure[i])[:MAX_OBJECTS]:
        left -= len(objects[i].encode()) + 1
        if left < 0:
            break
        kept.append(i)
    return sorted(kept)


def _exact(value: float | np.floating) -> float:
    """`value` in the fewest digits that read back as the same float32, for a replay."""
    return min(max(float(str(np.float32(value))), 0.0), 1.0) if value == value else 0.0


def _unit(value: float | np.floating) -> float:
    """`value` as JSON shows it: five digits, within 0..1; what is not a number is 0."""
    return round(min(max(float(value), 0.0), 1.0), _DIGITS) if value == value else 0.0
