"""A second look by the same model: at mirrored pictures, and what all looks have in common.

A model that was shown enough sees the same in a picture and in its mirror image. Where it does
not, its word hangs on chance, and the mean over the looks is the better word (Krizhevsky et
al., 2012, who averaged over crops and mirror images; for detectors Casado-Garcia and Heras,
"Ensemble Methods for Object Detection", 2020). All mirror images are looked at: left to right,
top to bottom, and both at once, which is half a turn. It costs three runs more and no second
model.

Boxes of all looks that are of one class and overlap are one object, with the mean of their
confidences, none counting as 0. What this does not promise: anything where left and right
mean something, as with text; name a second model there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from visionedge.entities import Classification, Detections, Image, Prediction
from visionedge.errors import ModelRunError
from visionedge.inference.boxes import Floats
from visionedge.inference.view import View
from visionedge.overlap import iou

LEFT_RIGHT: Final = 1
TOP_BOTTOM: Final = 0
"""Axes of a picture along which its pixels are put in reverse."""
_MIRRORS: Final = ((LEFT_RIGHT,), (TOP_BOTTOM,), (LEFT_RIGHT, TOP_BOTTOM))
_SAME_IOU: Final = 0.45


def mirrored_look(
    look: Callable[[Image, View], Prediction], image: Image, view: View, first: Prediction
) -> Prediction:
    """What a model sees in a picture and its mirror images together.

    Args:
        look: runs the model, as `Runner.infer` does.
        image: (H, W, 3) uint8 BGR.
        view: what of it is looked at.
        first: what the model saw in `image` as it is.

    Raises:
        ModelRunError: the model failed on one of them.
    """
    looks = [first]
    for axes in _MIRRORS:
        # A view: what is turned is the small picture that the model gets (`image_resize`).
        seen = look(np.flip(image, axes), _mirrored_view(view, axes))
        looks.append(_turned_back(seen, axes, image))
    return together(looks)


def together(looks: Sequence[Prediction]) -> Prediction:
    """The mean of several looks at one picture, at least one, all of the same kind."""
    first = looks[0]
    if isinstance(first, Classification):
        rows = [each.confidence for each in looks if isinstance(each, Classification)]
        if len(rows) != len(looks) or any(row.shape != rows[0].shape for row in rows):
            raise ModelRunError("a model gave answers of several kinds to mirror images")
        return replace(first, confidence=np.mean(rows, axis=0, dtype=np.float32))
    boxes = [each for each in looks if isinstance(each, Detections)]
    if len(boxes) != len(looks):
        raise ModelRunError("a model gave answers of several kinds to mirror images")
    return _of_boxes(boxes)


def _of_boxes(looks: Sequence[Detections]) -> Detections:
    xyxy = np.concatenate([each.xyxy for each in looks])
    confidence = np.concatenate([each.confidence for each in looks])
    class_id = np.concatenate([each.class_id for each in looks])
    number = np.repeat(np.arange(len(looks)), [len(each) for each in looks])
    same = (iou(xyxy, xyxy) >= _SAME_IOU) & np.equal.outer(class_id, class_id)
    free = np.ones(len(xyxy), np.bool_)
    kept: list[int] = []
    means: list[float] = []
    for i in np.argsort(-confidence, kind="stable").tolist():
        if not free[i]:
            continue
        group = free & same[i]
        group[i] = True
        free &= ~group
        best = [confidence[group & (number == n)].max(initial=0.0) for n in range(len(looks))]
        kept.append(i)
        means.append(float(np.mean(best)))
    order = np.argsort(-np.array(means, np.float32), kind="stable")
    at = np.array(kept, np.intp)[order]
    mean = np.array(means, np.float32)[order]
    return Detections(xyxy[at], mean, class_id[at], looks[0].labels)


def _turned_back(prediction: Prediction, axes: Sequence[int], image: Image) -> Prediction:
    """`prediction` of a mirror image in the pixels of the picture itself."""
    height, width = image.shape[:2]
    if isinstance(prediction, Detections):
        return replace(prediction, xyxy=_mirrored(prediction.xyxy, axes, width, height))
    return replace(prediction, hot=_mirrored(prediction.hot, axes, width, height))


def _mirrored_view(view: View, axes: Sequence[int]) -> View:
    if not view.region:
        return view
    turns_x, turns_y = LEFT_RIGHT in axes, TOP_BOTTOM in axes
    region = tuple((1 - x if turns_x else x, 1 - y if turns_y else y) for x, y in view.region)
    return replace(view, region=region)


def _mirrored(xyxy: Floats, axes: Sequence[int], width: int, height: int) -> Floats:
    turned = xyxy.copy()
    for axis in axes:
        low, high = (0, 2) if axis == LEFT_RIGHT else (1, 3)
        size = np.float32(width if axis == LEFT_RIGHT else height)
        turned[:, low], turned[:, high] = size - xyxy[:, high], size - xyxy[:, low]
    return turned
