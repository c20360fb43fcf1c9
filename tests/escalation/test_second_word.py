"""What two looks at one frame say together, and which doubt is left."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.predictions import boxes, classes

from visionedge.entities import Action, Classification, Decision, Prediction, Question
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


def left(first: Prediction, second: Prediction) -> float:
    return doubt_left(first, second, THRESHOLDS, 0.1, 0.3)


def test_the_doubt_left_is_that_anything_is_otherwise_than_the_first_look_said() -> None:
    two = [*AT, *BESIDE]
    assert left(boxes(0.6, xyxy=AT), boxes(0.9, 0.2, xyxy=two)) == pytest.approx(1 - 0.9 * 0.8)
    assert left(boxes(0.6, 0.4, xyxy=two), boxes(0.9, xyxy=AT)) == pytest.approx(0.1)
    assert left(boxes(0.3, xyxy=AT), boxes()) == 0
    assert left(boxes(), boxes(0.4, 0.05, xyxy=two)) == pytest.approx(0.4)
    assert left(classes(0.6, 0.4), classes(0.9, 0.1)) == pytest.approx(0.1)


def test_a_second_look_that_is_sure_of_something_else_weighs_more_than_one_that_wavers() -> None:
    assert left(classes(0.6, 0.4), classes(0.4, 0.6)) == pytest.approx(0.6)
    assert left(classes(0.6, 0.4), classes(0.1, 0.9)) == pytest.approx(0.9)
    assert left(boxes(), boxes(0.6)) == pytest.approx(0.6)
    assert left(boxes(), boxes(0.9)) == pytest.approx(0.9)


def test_what_the_second_look_does_not_see_at_all_is_wrong_for_certain() -> None:
    assert left(boxes(0.9, xyxy=AT), boxes()) == 1
    assert left(boxes(0.9, xyxy=AT), boxes(0.9, xyxy=BESIDE)) == 1
    assert left(boxes(0.9, xyxy=AT), boxes(0.9, xyxy=AT, class_id=[1])) == 1
    assert left(boxes(0.9), classes(0.9, 0.1)) == 1


def test_the_doubt_about_classes_goes_by_their_names() -> None:
    larger = Classification(np.array([0.2, 0.8], np.float32), ("Class 1", "class_0"), False)
    assert left(classes(0.6, 0.4), larger) == pytest.approx(0.2)


def test_each_of_classes_that_stand_by_themselves_can_be_wrong() -> None:
    first = classes(0.9, 0.2, 0.3, multilabel=True)
    second = classes(0.8, 0.4, 0.05, multilabel=True)
    assert left(first, second) == pytest.approx(1 - 0.8 * 0.6)
    assert left(second, classes(0.05, 0.2, 0.9, multilabel=True)) == 1


def test_what_is_not_a_number_is_doubted_most() -> None:
    assert left(boxes(0.9, xyxy=AT), boxes(float("nan"), xyxy=AT)) == 1
    assert left(classes(0.6, 0.4), classes(float("nan"), 0.5)) == 1


def test_two_looks_that_name_no_class_settle_nothing() -> None:
    assert left(classes(), classes()) == 1
    assert left(classes(0.2, 0.3, multilabel=True), classes(0.05, 0.04, multilabel=True)) == 0


def test_a_class_that_a_message_would_not_carry_counts_as_not_seen() -> None:
    first = classes(0.9, *[0.01] * 20)
    second = classes(0.001, *[0.04] * 20)
    assert left(first, second) == 1


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
