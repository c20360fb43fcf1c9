"""Whether a second look at a doubtful frame says the same as the first, and what doubt is left.

Both are taken as the settings take a prediction: what reaches its class's threshold. They
agree when each object that either takes is taken by the other under the same name. Names are
compared as verdicts are, because a larger model may number or spell its classes otherwise.

The doubt that is left is one minus the chance that the second look gives to the first word: to
its class, or to each box that was taken being there and nothing else. So it is one scale for
looks that agree and for those that do not, and a second look that is sure of something else
weighs more than one that only wavers. Only doubt that came of confidence can shrink: that
nothing was seen where something must be, or that an object flickers, is not settled by a look
that says the same.

What this does not promise: an independent opinion. A larger model that learned from the same
pictures errs with the first. What it is worth is measured in docs/explanation/doubt.md.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Decision, Detections, Prediction
from visionedge.escalation.claims import TOP_CLASSES
from visionedge.escalation.judging import competes, is_independent, noise, unit
from visionedge.escalation.policies import (
    below_threshold,
    box_minimum,
    close_to_threshold,
    entropy,
    margin,
    rivals,
    weak_share,
)
from visionedge.escalation.thresholds import Thresholds, label_key
from visionedge.overlap import iou

_OF_CONFIDENCE: Final = {
    below_threshold.REASON,
    box_minimum.REASON,
    close_to_threshold.REASON,
    entropy.REASON,
    margin.REASON,
    rivals.REASON,
    weak_share.REASON,
}


def agree(one: Prediction, other: Prediction, thresholds: Thresholds, match_iou: float) -> bool:
    """True if both looks would be taken as the same.

    Args:
        one: what the first look saw.
        other: what the second one saw, in the same pixels.
        thresholds: from which confidence on a class is taken.
        match_iou: boxes that overlap at least so much are the same object.
    """
    if isinstance(one, Classification) and isinstance(other, Classification):
        return _word(one, thresholds) == _word(other, thresholds)
    if isinstance(one, Detections) and isinstance(other, Detections):
        return _same_objects(_taken(one, thresholds), _taken(other, thresholds), match_iou)
    return False


def doubt_left(
    first: Prediction, second: Prediction, thresholds: Thresholds, floor: float, match_iou: float
) -> float:
    """How likely the first word is to be wrong by what a second look saw, 0..1.

    Args:
        first: what the first look saw, and what is taken of it is its word.
        second: what the second one saw, in the same pixels.
        thresholds: from which confidence on a class is taken.
        floor: below it a box, or a class that stands by itself, is noise.
        match_iou: boxes that overlap at least so much are the same object.
    """
    if isinstance(first, Classification) and isinstance(second, Classification):
        return unit(1 - _chance_of_classes(_word(first, thresholds), second, floor))
    if isinstance(first, Detections) and isinstance(second, Detections):
        word = _taken(first, thresholds)
        heard = _where(second, ~noise(second, floor))
        return unit(1 - _chance_of_boxes(word, heard, match_iou))
    return 1.0


def with_second(decision: Decision, left: float) -> Decision:
    """The decision after a second look, and its question with what that is worth now.

    Args:
        decision: of the first look.
        left: the doubt that is left, 0..1.
    """
    question = decision.question
    if question is None:
        return decision
    # The best view may be a frame that was suppressed as such: its question tells the rule.
    score = left if question.reason in _OF_CONFIDENCE else max(decision.score, left)
    # A question's worth is its doubt by the rarity of its class, which stays.
    value = question.value * score / decision.score if decision.score else question.value
    return replace(decision, score=score, question=replace(question, value=min(1.0, value)))


def _word(prediction: Classification, thresholds: Thresholds) -> frozenset[str]:
    """The classes that are taken; where classes compete the best one, sure or not."""
    if not len(prediction):
        return frozenset()
    if is_independent(prediction):
        where = np.flatnonzero(prediction.confidence >= thresholds.accept(prediction)).tolist()
    else:
        where = [int(prediction.confidence.argmax())]
    return frozenset(label_key(prediction.label(i)) for i in where)


def _chance_of_classes(word: frozenset[str], second: Classification, floor: float) -> float:
    # A message carries no more classes than these, and a replay must come to the same.
    named = {
        label_key(second.label(i)): confidence
        for i, confidence in second.top(TOP_CLASSES)
        if competes(second) or not confidence < floor
    }
    if competes(second) and not word:
        return 0.0
    right = [named.get(label, 0.0) for label in word]
    if not competes(second):
        right += [1 - chance for label, chance in named.items() if label not in word]
    return float(np.prod(right))


def _chance_of_boxes(word: Detections, heard: Detections, match_iou: float) -> float:
    match = _matches(word, heard, match_iou)
    if (match < 0).any():
        return 0.0
    confidence = heard.confidence.astype(np.float64)
    others = np.delete(confidence, match)
    return float(np.prod(confidence[match]) * np.prod(1 - others))


def _taken(prediction: Detections, thresholds: Thresholds) -> Detections:
    return _where(prediction, prediction.confidence >= thresholds.accept(prediction))


def _where(prediction: Detections, kept: NDArray[np.bool_]) -> Detections:
    return Detections(
        prediction.xyxy[kept],
        prediction.confidence[kept],
        prediction.class_id[kept],
        prediction.labels,
    )


def _same_objects(one: Detections, other: Detections, match_iou: float) -> bool:
    return len(one) == len(other) and bool((_matches(one, other, match_iou) >= 0).all())


def _matches(one: Detections, other: Detections, match_iou: float) -> NDArray[np.intp]:
    """(n,) for each object of `one` which of `other` it is, each at most once; -1 is none."""
    match = np.full(len(one), -1, np.intp)
    if not len(one) or not len(other):
        return match
    both = iou(one.xyxy, other.xyxy)
    mine = np.array([label_key(one.label(i)) for i in range(len(one))])
    theirs = np.array([label_key(other.label(j)) for j in range(len(other))])
    fits = (both >= match_iou) & np.equal.outer(mine, theirs)
    free = np.ones(len(other), np.bool_)
    for row in range(len(one)):
        rank = np.where(fits[row] & free, both[row], -1.0)
        best = int(rank.argmax())
        if rank[best] >= 0:
            match[row], free[best] = best, False
    return match
