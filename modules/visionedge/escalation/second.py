"""Whether a second look at a doubtful frame says the same as the first, and what doubt is left.

Both are taken as the settings take a prediction: what reaches its class's threshold. They
agree when each object that either takes is taken by the other under the same name. Names are
compared as verdicts are, because a larger model may number or spell its classes otherwise.

Where they agree, the doubt that is left is the chance that any of the second look's words is
wrong, each by its own confidence: two looks are wrong together less often than one. Where
they differ, one of them is wrong for certain, and the doubt is at least even. Only doubt that
came of confidence can shrink: that nothing was seen where something must be, or that an
object flickers, is not settled by a look that says the same.

What this does not promise: an independent opinion. A larger model that learned from the same
pictures errs with the first. What it is worth is measured in docs/explanation/doubt.md.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from visionedge.entities import Classification, Decision, Detections, Prediction, SecondOpinion
from visionedge.escalation.judging import competes, is_independent, noise
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

_EVEN_ODDS: Final = 0.5
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


def doubt_left(opinion: SecondOpinion, thresholds: Thresholds, floor: float) -> float:
    """How likely the local word is to be wrong after a second look, 0..1.

    Args:
        opinion: of the second look.
        thresholds: from which confidence on a class is taken.
        floor: below it a box is noise.
    """
    seen = opinion.prediction
    confidence = seen.confidence.astype(np.float64)
    if competes(seen):
        wrong = 1 - float(confidence.max(initial=0.0))
    else:
        taken = confidence >= thresholds.accept(seen)
        chance = np.where(taken, 1 - confidence, confidence)[~noise(seen, floor)]
        wrong = 1 - float(np.prod(1 - np.clip(chance, 0, 1)))
    return wrong if opinion.agrees else _EVEN_ODDS + (1 - _EVEN_ODDS) * wrong


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


def _taken(prediction: Detections, thresholds: Thresholds) -> Detections:
    taken = prediction.confidence >= thresholds.accept(prediction)
    return Detections(
        prediction.xyxy[taken],
        prediction.confidence[taken],
        prediction.class_id[taken],
        prediction.labels,
    )


def _same_objects(one: Detections, other: Detections, match_iou: float) -> bool:
    if len(one) != len(other):
        return False
    if not len(one):
        return True
    both = rivals.overlap(np.concatenate([one.xyxy, other.xyxy]))[: len(one), len(one) :]
    mine = np.array([label_key(one.label(i)) for i in range(len(one))])
    theirs = np.array([label_key(other.label(j)) for j in range(len(other))])
    fits = (both >= match_iou) & np.equal.outer(mine, theirs)
    free = np.ones(len(other), np.bool_)
    for row in range(len(one)):
        rank = np.where(fits[row] & free, both[row], -1.0)
        best = int(rank.argmax())
        if rank[best] < 0:
            return False
        free[best] = False
    return True
