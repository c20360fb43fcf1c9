"""What two looks at one frame say together, and which doubt is left."""

from dataclasses import replace

import pytest
from tests.support.predictions import boxes, classes

from visionedge.entities import Action, Decision, Prediction, Question, SecondOpinion
from visionedge.escalation.second import agree, doubt_left, with_second
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DecisionSettings

AT = [(10.0, 10.0, 40.0, 40.0)]
BESIDE = [(60.0, 10.0, 90.0, 40.0)]
THRESHOLDS = Thresholds(DecisionSettings())


def same(one: Prediction, other: Prediction) -> bool:
    return agree(one, other, THRESHOLDS, 0.3)


def doubtful(reason: str, score: float = 0.8) -> Decision:
    question = Question("q", reason, frozenset(), 0.0, score / 2, 0)
    return Decision(Action.ESCALATE, reason, score, 1, question)


def test_the_same_object_under_the_same_name_is_agreement_whatever_the_confidence() -> None:
    assert same(boxes(0.6, xyxy=AT), boxes(0.95, xyxy=AT))


@pytest.mark.parametrize(
    "other",
    [
        boxes(),
        boxes(0.4, xyxy=AT),
        boxes(0.9, xyxy=BESIDE),
        boxes(0.9, xyxy=AT, class_id=[1]),
        boxes(0.9, 0.9, xyxy=[*AT, *BESIDE]),
    ],
)
def test_what_only_one_look_takes_is_disagreement(other: Prediction) -> None:
    assert not same(boxes(0.6, xyxy=AT), other)
    assert not same(other, boxes(0.6, xyxy=AT))


def test_what_neither_takes_is_none() -> None:
    assert same(boxes(0.3, xyxy=AT), boxes(0.2, xyxy=BESIDE))
    assert same(boxes(), boxes())


def test_names_are_compared_and_not_numbers() -> None:
    larger = boxes(0.9, xyxy=AT, labels=("Short", "OPEN"), class_id=[1])
    assert same(boxes(0.6, xyxy=AT), larger)


def test_two_boxes_on_one_object_do_not_both_match_one() -> None:
    twice = boxes(0.9, 0.8, xyxy=[*AT, *AT])
    assert not same(twice, boxes(0.9, 0.8, xyxy=[*AT, *BESIDE]))


def test_classes_agree_by_the_best_or_by_all_that_are_taken() -> None:
    assert same(classes(0.4, 0.3, 0.3), classes(0.9, 0.05, 0.05))
    assert not same(classes(0.4, 0.3, 0.3), classes(0.2, 0.5, 0.3))
    each = classes(0.9, 0.8, multilabel=True)
    assert same(each, classes(0.6, 0.7, multilabel=True))
    assert not same(each, classes(0.6, 0.4, multilabel=True))


def test_boxes_and_classes_never_agree() -> None:
    assert not same(boxes(0.9), classes(0.9, 0.1))


def test_where_both_agree_the_doubt_left_is_that_any_word_is_wrong() -> None:
    seen = SecondOpinion("m", True, boxes(0.9, 0.2, 0.05))
    assert doubt_left(seen, THRESHOLDS, 0.1) == pytest.approx(1 - 0.9 * 0.8, abs=1e-6)
    assert doubt_left(SecondOpinion("m", True, boxes()), THRESHOLDS, 0.1) == 0
    sure = SecondOpinion("m", True, classes(0.9, 0.1))
    assert doubt_left(sure, THRESHOLDS, 0.1) == pytest.approx(0.1, abs=1e-6)


def test_where_they_differ_it_is_at_least_even() -> None:
    assert doubt_left(SecondOpinion("m", False, boxes()), THRESHOLDS, 0.1) == 0.5
    assert doubt_left(SecondOpinion("m", False, boxes(0.5)), THRESHOLDS, 0.1) == 0.75


def test_a_question_is_worth_what_its_doubt_is_and_its_class_stays_rare() -> None:
    less = with_second(doubtful("below_threshold"), 0.2)
    assert less.score == 0.2
    assert less.question is not None
    assert less.question.value == pytest.approx(0.1)
    assert with_second(doubtful("below_threshold"), 1.0).score == 1.0


@pytest.mark.parametrize("reason", ["nothing_seen", "unstable", "novelty"])
def test_doubt_that_is_not_of_confidence_does_not_shrink(reason: str) -> None:
    assert with_second(doubtful(reason), 0.0).score == 0.8
    assert with_second(doubtful(reason), 0.9).score == 0.9


def test_a_decision_without_a_question_stays_as_it_is() -> None:
    decision = replace(doubtful("margin"), question=None)
    assert with_second(decision, 0.1) is decision


def test_of_a_better_view_that_was_suppressed_the_question_tells_the_rule() -> None:
    better = replace(doubtful("below_threshold"), action=Action.SUPPRESS, reason="same_object")
    assert with_second(better, 0.1).score == 0.1
    flickers = replace(doubtful("unstable"), action=Action.SUPPRESS, reason="same_object")
    assert with_second(flickers, 0.1).score == 0.8
