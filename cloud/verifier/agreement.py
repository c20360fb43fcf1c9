"""Whether the verifier and the module saw the same.

It is for people and for the dataset: how often a model is right, class by class. The module
draws its own conclusion from the verdict, claim by claim, and does not read this word.

Boxes are the same object when they overlap by half (IoU >= 0.5, the measure of PASCAL VOC),
best overlap first, each box once. One word for the picture:

    confirm   everything the module claimed is there, by that name, and nothing else is
    correct   something has another name, or was not claimed
    reject    what the module claimed is not there, and nothing is in its place
    unknown   the verifier answered another question, such as names where boxes were claimed
"""

from collections.abc import Sequence
from typing import Final, Literal

from verifier.labels import plain
from visionedge.wire import Box, DetectedObject, NamedClass, PredictionBody

Agreement = Literal["confirm", "correct", "reject", "unknown"]
_SAME: Final = 0.5


def agreement(
    local: PredictionBody, objects: Sequence[DetectedObject], classes: Sequence[NamedClass]
) -> Agreement:
    """Compare the module's prediction with the verdict's lists, already in our names."""
    if local.task == "classification":
        return _compare_classes(local.classes, classes)
    if classes and not objects:
        return "unknown"
    return _compare_boxes(local.detections, objects)


def _compare_classes(ours: Sequence[NamedClass], theirs: Sequence[NamedClass]) -> Agreement:
    if not theirs:
        return "unknown"
    if not ours:
        return "correct"
    best = max(ours, key=lambda c: c.confidence)
    other = max(theirs, key=lambda c: c.confidence)
    return "confirm" if plain(best.label) == plain(other.label) else "correct"


def _compare_boxes(ours: Sequence[DetectedObject], theirs: Sequence[DetectedObject]) -> Agreement:
    pairs = match([o.box for o in ours], [t.box for t in theirs])
    if ours and not pairs and not theirs:
        return "reject"
    same = all(plain(ours[i].label) == plain(theirs[j].label) for i, j in pairs)
    if same and len(pairs) == len(ours) == len(theirs):
        return "confirm"
    return "correct" if theirs else "reject"


def match(ours: Sequence[Box], theirs: Sequence[Box]) -> list[tuple[int, int]]:
    """Pairs of indices whose boxes overlap by half, the best first, each box once."""
    overlaps = sorted((-iou(a, b), i, j) for i, a in enumerate(ours) for j, b in enumerate(theirs))
    pairs: list[tuple[int, int]] = []
    for overlap, i, j in overlaps:
        if -overlap < _SAME:
            break
        if all(i != taken_i and j != taken_j for taken_i, taken_j in pairs):
            pairs.append((i, j))
    return pairs


def iou(a: Box, b: Box) -> float:
    """Intersection over union; 0 for boxes without area."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
