"""The rules of doubt, and the traps that well-known filters fall into."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.predictions import boxes, classes

from visionedge.entities import Prediction
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import read
from visionedge.escalation.rules import RULES
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import ClassRule, DecisionSettings

PLAIN = DecisionSettings(accept=0.6, margin=0.15)
FLOOR = Context(floor=0.1)


def judge(
    rule: str,
    prediction: Prediction,
    context: Context = FLOOR,
    settings: DecisionSettings = PLAIN,
) -> Doubt | None:
    return RULES[rule](settings).judge(read(prediction, Thresholds(settings)), context)


def score(rule: str, prediction: Prediction, context: Context = FLOOR) -> float:
    doubt = judge(rule, prediction, context)
    assert doubt is not None
    assert doubt.reason == rule
    return doubt.score


def test_a_box_at_its_threshold_is_taken_and_just_below_it_is_doubted() -> None:
    assert judge("below_threshold", boxes(0.6)) is None
    assert score("below_threshold", boxes(0.599)) > 0.99


def test_a_box_below_the_floor_is_noise_and_at_the_floor_is_the_least_doubt() -> None:
    assert judge("below_threshold", boxes(0.099)) is None
    assert score("below_threshold", boxes(0.1)) == 0


def test_doubt_grows_with_the_chance_that_the_box_is_real() -> None:
    asked = [score("below_threshold", boxes(c)) for c in (0.15, 0.3, 0.45, 0.55)]
    assert asked == sorted(asked)
    assert score("below_threshold", boxes(0.35)) == pytest.approx(0.5, abs=1e-6)


def test_one_bad_box_is_not_hidden_by_nine_good_ones() -> None:
    assert score("below_threshold", boxes(*[0.95] * 9, 0.5)) == score("below_threshold", boxes(0.5))


def test_the_most_doubtful_box_is_not_hidden_by_others_that_are_almost_noise() -> None:
    alone = score("below_threshold", boxes(0.55))
    assert score("below_threshold", boxes(0.55, 0.11, 0.12)) == alone


def test_a_class_has_its_own_threshold_and_a_space_is_written_as_underscore() -> None:
    strict = DecisionSettings(accept=0.5, classes={"missing_hole": ClassRule(accept=0.9)})
    labels = ("short", "Missing Hole")
    assert judge("below_threshold", boxes(0.7, labels=labels), settings=strict) is None
    doubted = boxes(0.7, labels=labels, class_id=[1])
    assert judge("below_threshold", doubted, settings=strict) is not None


@pytest.mark.parametrize("class_id", [-1, 2, 2**31 - 1])
def test_a_class_without_a_label_has_the_common_threshold(class_id: int) -> None:
    strict = DecisionSettings(
        accept=0.6, classes={"open": ClassRule(accept=0.1), "short": ClassRule(accept=0.1)}
    )
    assert judge("below_threshold", boxes(0.5, class_id=[class_id]), settings=strict) is not None
    assert judge("below_threshold", boxes(0.6, class_id=[class_id]), settings=strict) is None


def test_an_empty_scene_is_doubted_where_something_is_expected_and_only_there() -> None:
    expecting = Context(expect_objects=True, floor=0.1)
    assert judge("nothing_seen", boxes(), FLOOR) is None
    assert score("nothing_seen", boxes(), expecting) == 0.5
    assert score("nothing_seen", boxes(0.05), expecting) == 0.5
    assert judge("nothing_seen", boxes(0.2), expecting) is None


def test_no_sigmoid_over_the_floor_is_an_empty_scene_but_a_softmax_never_is() -> None:
    expecting = Context(expect_objects=True, floor=0.1)
    assert judge("nothing_seen", classes(0.05, 0.01, multilabel=True), expecting) is not None
    assert judge("nothing_seen", classes(0.05), expecting) is not None
    assert judge("nothing_seen", classes(*[0.05] * 20), expecting) is None


def test_two_classes_too_close_are_doubted_and_at_the_margin_they_are_not() -> None:
    assert score("margin", classes(0.5, 0.4, 0.1)) == pytest.approx(0.5)
    assert judge("margin", classes(0.625, 0.375), settings=DecisionSettings(margin=0.25)) is None


def test_the_margin_asks_nothing_of_boxes_and_of_classes_that_do_not_compete() -> None:
    assert judge("margin", boxes(0.5, 0.5)) is None
    assert judge("margin", classes(0.9, 0.9, multilabel=True)) is None
    assert judge("margin", classes(0.9)) is None


@pytest.mark.parametrize(
    ("rule", "prediction", "chance"),
    [
        ("margin", classes(0.45, 0.4, 0.15), 0.55),
        ("below_threshold", classes(0.45, 0.4, 0.15), 0.55),
        ("below_threshold", classes(0.3, 0.1, *[0.06] * 10), 0.7),
        ("close_to_threshold", classes(0.6, 0.4), 0.4),
    ],
)
def test_of_classes_that_compete_every_rule_tells_the_chance_that_another_is_right(
    rule: str, prediction: Prediction, chance: float
) -> None:
    doubt = judge(rule, prediction, settings=DecisionSettings(close=0.4))
    assert doubt is not None
    assert doubt.score == pytest.approx(chance)


@pytest.mark.parametrize("rule", ["margin", "below_threshold"])
def test_one_hot_is_certain(rule: str) -> None:
    assert judge(rule, classes(0, 1, 0)) is None


def test_a_vector_of_zeros_is_the_strongest_doubt() -> None:
    assert score("below_threshold", classes(0, 0, 0)) == 1
    assert score("margin", classes(0, 0, 0)) == 1


def test_a_single_class_is_judged_by_itself() -> None:
    assert judge("below_threshold", classes(1.0)) is None
    assert judge("below_threshold", classes(0.02)) is None
    assert score("below_threshold", classes(0.35)) == pytest.approx(0.5, abs=1e-6)


def test_of_many_classes_a_best_one_below_the_floor_is_doubt_and_not_noise() -> None:
    flat = [0.001] * 949 + [0.051]
    assert score("below_threshold", classes(*flat)) == pytest.approx(0.949, abs=1e-6)


def test_a_classification_of_nothing_is_doubted() -> None:
    assert score("below_threshold", classes()) == 1


def test_each_of_many_labels_counts_not_only_the_best() -> None:
    assert judge("below_threshold", classes(0.99, 0.4, multilabel=True)) is not None
    assert judge("below_threshold", classes(0.99, 0.05, multilabel=True)) is None


@pytest.mark.parametrize(
    "broken",
    [
        boxes(0.9, math.nan),
        classes(math.nan, 0.9),
        classes(math.nan),
        classes(0.9, math.nan, multilabel=True),
    ],
)
def test_what_is_not_a_number_is_the_strongest_doubt(broken: Prediction) -> None:
    assert score("below_threshold", broken) == 1


CONFIDENCES = st.lists(
    st.one_of(st.floats(0, 1, width=32), st.just(math.nan), st.just(1.0000001)), max_size=12
)


@given(CONFIDENCES, st.booleans(), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_no_prediction_makes_a_rule_fail_or_leave_the_scale(
    confidence: list[float], multilabel: bool, floor: float, accept: float, expect: bool
) -> None:
    settings = DecisionSettings(accept=accept, margin=accept)
    for rule in RULES:
        for prediction in (boxes(*confidence), classes(*confidence, multilabel=multilabel)):
            doubt = judge(rule, prediction, Context(expect, floor), settings)
            assert doubt is None or 0 <= doubt.score <= 1


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8), st.floats(0.01, 1))
def test_no_box_between_floor_and_threshold_goes_without_doubt(
    confidence: list[float], accept: float
) -> None:
    doubt = judge("below_threshold", boxes(*confidence), FLOOR, DecisionSettings(accept=accept))
    prediction = boxes(*confidence).confidence
    between = ((prediction >= 0.1) & ~(prediction >= boxes(accept).confidence[0])).any()
    assert (doubt is not None) == between
