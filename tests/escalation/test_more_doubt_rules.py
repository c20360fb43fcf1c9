"""Rules of doubt beyond the threshold, with the cases at which known filters fail."""

import math

import numpy as np
import pytest
from tests.support.predictions import boxes, classes

from visionedge.entities import Prediction
from visionedge.escalation.policies.entropy import normalised_entropy
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import read
from visionedge.escalation.rules import RULES
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import ClassRule, DecisionSettings

FLOOR = Context(floor=0.1)
SAME_PLACE = [(0.0, 0.0, 40.0, 40.0), (2.0, 0.0, 42.0, 40.0)]


def judge(
    rule: str, prediction: Prediction, context: Context = FLOOR, **settings: float
) -> Doubt | None:
    return judged(rule, prediction, DecisionSettings.model_validate(settings), context)


def judged(
    rule: str, prediction: Prediction, settings: DecisionSettings, context: Context = FLOOR
) -> Doubt | None:
    return RULES[rule](settings).judge(read(prediction, Thresholds(settings)), context)


def test_what_is_taken_by_little_is_doubted_and_what_is_taken_by_more_is_not() -> None:
    doubt = judge("close_to_threshold", boxes(0.95, 0.55), close=0.1)
    assert doubt is not None
    assert doubt.where == frozenset({1})
    assert doubt.score == pytest.approx(0.9)
    assert judge("close_to_threshold", boxes(0.61), close=0.1) is None
    assert judge("close_to_threshold", boxes(0.55), close=0) is None


def test_both_sides_of_the_threshold_are_on_one_scale() -> None:
    above = judge("close_to_threshold", boxes(0.501), close=0.1)
    below = judge("below_threshold", boxes(0.499))
    assert above is not None
    assert below is not None
    assert above.score == pytest.approx(below.score, abs=0.01)


def test_of_classes_that_compete_only_the_best_can_be_close() -> None:
    assert judge("close_to_threshold", classes(0.52, 0.48), close=0.1) is not None
    strict = DecisionSettings(accept=0.9, close=0.1, classes={"class_1": ClassRule(accept=0.05)})
    assert judged("close_to_threshold", classes(0.91, 0.09), strict) is not None
    assert judged("close_to_threshold", classes(0.3, 0.1), strict) is None


def test_a_threshold_of_one_does_not_divide_by_zero() -> None:
    assert judge("close_to_threshold", boxes(1.0), accept=1.0, close=0.1) is not None


@pytest.mark.parametrize(
    ("confidence", "entropy"),
    [((1, 0, 0), 0), ((0.5, 0.5), 1), ((0, 0, 0), 1), ((1,), 0), ((), 1), ((0.25,) * 4, 1)],
)
def test_entropy_is_between_nothing_and_one_for_one_hot_one_class_and_none(
    confidence: tuple[float, ...], entropy: float
) -> None:
    assert normalised_entropy(np.array(confidence, np.float32)) == pytest.approx(entropy)


def test_entropy_means_the_same_for_three_classes_and_for_a_thousand() -> None:
    few, many = classes(*[1 / 3] * 3), classes(*[0.001] * 1000)
    scores = [judge("entropy", prediction, entropy=0.5) for prediction in (few, many)]
    assert all(doubt is not None and doubt.score == pytest.approx(1) for doubt in scores)


def test_entropy_doubts_a_vector_that_is_not_a_number_and_asks_nothing_of_boxes() -> None:
    broken = judge("entropy", classes(math.nan, 0.5), entropy=0.5)
    assert broken == Doubt("entropy", 1.0)
    assert judge("entropy", boxes(0.5), entropy=0.5) is None
    assert judge("entropy", classes(0.5, 0.5), entropy=1) is None


def test_a_frame_of_many_weak_boxes_is_doubted_and_an_empty_one_does_not_divide_by_zero() -> None:
    def weak(prediction: Prediction) -> Doubt | None:
        return judge("weak_share", prediction, weak_box=0.5, weak_share=0.5)

    assert weak(boxes(0.9, 0.9, 0.4)) is None
    doubt = weak(boxes(0.9, 0.45, 0.4))
    assert doubt is not None
    assert doubt.score == pytest.approx(2 / 3)
    assert weak(boxes()) is None
    assert weak(boxes(0.05, 0.05)) is None


def test_one_weak_box_among_nine_good_ones_is_found_by_the_box_minimum() -> None:
    crowd = boxes(*[0.95] * 9, 0.35)
    assert judge("box_minimum", crowd, accept=0.3, box_minimum=0.5) is not None
    assert judge("box_minimum", crowd, accept=0.3, box_minimum=0.3) is None
    assert judge("box_minimum", boxes(), box_minimum=0.5) is None


def test_two_names_for_one_object_are_doubted() -> None:
    pair = boxes(0.8, 0.75, class_id=[0, 1], xyxy=SAME_PLACE)
    doubt = judge("rivals", pair, margin=0.15)
    assert doubt is not None
    assert doubt.score == pytest.approx(0.95)


@pytest.mark.parametrize(
    "prediction",
    [
        boxes(0.8, 0.75, class_id=[0, 0], xyxy=SAME_PLACE),
        boxes(0.8, 0.4, class_id=[0, 1], xyxy=SAME_PLACE),
        boxes(0.8, 0.75, class_id=[0, 1]),
        boxes(0.8),
        boxes(),
        classes(0.5, 0.5),
    ],
)
def test_one_name_a_clear_lead_or_two_places_are_no_rivals(prediction: Prediction) -> None:
    assert judge("rivals", prediction, margin=0.15) is None


@pytest.mark.parametrize("count", [2, 8, 9, 64, 100])
def test_in_a_crowd_only_those_of_the_best_that_share_a_place_are_rivals(count: int) -> None:
    # Every other box lies on the one before it, all have names of their own.
    xyxy = [(100.0 * (n // 2), 0.0, 100.0 * (n // 2) + 40 + n % 2, 40.0) for n in range(count)]
    crowd = boxes(
        *(0.9 - 0.001 * n for n in range(count)),
        labels=tuple(map(str, range(count))),
        class_id=range(count),
        xyxy=xyxy,
    )
    doubt = judge("rivals", crowd, margin=0.15)
    assert doubt is not None
    assert doubt.where == frozenset(range(min(count, 64) // 2 * 2))
    assert doubt.score == pytest.approx(0.999)


def flickering(prediction: Prediction, flicker: list[float]) -> Doubt | None:
    settings = DecisionSettings()
    seen = read(prediction, Thresholds(settings))
    seen.flicker = flicker
    return RULES["unstable"](settings).judge(seen, FLOOR)


def test_a_flickering_track_is_doubted_only_beyond_the_limit_and_above_the_noise() -> None:
    doubt = flickering(boxes(0.9, 0.8, 0.05), [0.2, 0.9, 1.0])
    assert doubt is not None
    assert doubt.where == frozenset({1})
    assert flickering(boxes(0.9), []) is None
    assert flickering(boxes(0.9), [0.5]) is None
