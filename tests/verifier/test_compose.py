"""An opinion becomes a verdict that the module can merge."""

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud import LAPTOP, START, escalation

from verifier.agreement import agreement, iou, match
from verifier.compose import Composer, gave_up
from verifier.labels import LabelMap
from verifier.opinion import Named, Opinion, Seen, Want, box_around, box_of
from visionedge.wire import DetectedObject, Escalation, NamedClass, PredictionBody, Verdict

OBJECTS = frozenset({Want.OBJECTS})
LABELS = frozenset({Want.LABELS})
HERE, THERE = (0.1, 0.1, 0.5, 0.5), (0.6, 0.6, 0.9, 0.9)


def composed(
    opinion: Opinion,
    offered: frozenset[Want] = OBJECTS,
    composer: Composer | None = None,
    **changes: object,
) -> Verdict:
    message = Escalation.model_validate(escalation("a") | changes)
    return (composer or Composer()).compose(message, opinion, offered, "ia40", START)


def detected(label: str, box: tuple[float, float, float, float]) -> DetectedObject:
    return DetectedObject(label=label, confidence=0.9, box=box)


def local(*boxes: DetectedObject) -> PredictionBody:
    return PredictionBody(task="detection", detections=list(boxes))


def test_a_detection_is_answered_with_boxes_and_a_classification_with_names() -> None:
    detection = composed(LAPTOP)
    assert detection.detections
    assert not detection.classes
    asked = {"task": "classification", "classes": [{"label": "laptop", "confidence": 0.4}]}
    classification = composed(LAPTOP, LABELS, prediction=asked)
    assert [c.label for c in classification.classes] == ["laptop"]
    assert not classification.detections
    assert classification.agreement == "confirm"


def test_names_cannot_settle_boxes_and_are_sent_as_what_they_are() -> None:
    verdict = composed(Opinion(labels=(Named("laptop", 0.9),)), LABELS)
    assert verdict.agreement == "unknown"
    assert verdict.classes
    assert not verdict.detections


def test_an_empty_scene_rejects_what_was_claimed() -> None:
    assert composed(Opinion()).agreement == "reject"


def test_names_are_translated_and_strangers_left_out() -> None:
    opinion = Opinion(objects=(Seen("Notebook_Computer", 0.9, HERE), Seen("chair", 0.9, THERE)))
    labels = LabelMap({"notebook computer": "laptop"}, only_mapped=True)
    verdict = composed(opinion, composer=Composer(labels))
    assert [d.label for d in verdict.detections] == ["laptop"]
    assert verdict.agreement == "confirm"
    free = composed(opinion, composer=Composer(LabelMap({"notebook computer": "laptop"})))
    assert [d.label for d in free.detections] == ["laptop", "chair"]
    assert free.agreement == "correct"


def test_what_the_service_doubts_itself_is_left_out() -> None:
    opinion = Opinion(objects=(Seen("laptop", 0.0016, HERE),))
    assert not composed(opinion).detections


def test_a_box_without_area_is_left_out() -> None:
    opinion = Opinion(objects=(Seen("laptop", 0.9, (0.5, 0.5, 0.5, 0.9)),))
    assert not composed(opinion).detections


def test_caption_and_text_come_along() -> None:
    opinion = Opinion(caption=Named("a desk", 0.8), texts=(Seen("EXIT" * 500, 0.9, HERE),))
    verdict = composed(opinion)
    assert verdict.caption == "a desk"
    assert len(verdict.texts[0]) == 1024


def test_a_verdict_has_one_id_however_often_it_is_composed() -> None:
    assert composed(LAPTOP).verdict_id == composed(Opinion()).verdict_id
    message = Escalation.model_validate(escalation("a"))
    assert gave_up(message, "ia40", "budget", START).verdict_id == composed(LAPTOP).verdict_id


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        ([detected("a", HERE)], [detected("A", HERE)], "confirm"),
        ([detected("pin_hole", HERE)], [detected("Pin hole", HERE)], "confirm"),
        ([detected("a", HERE)], [detected("b", HERE)], "correct"),
        ([detected("a", HERE)], [detected("a", THERE)], "correct"),
        ([detected("a", HERE)], [], "reject"),
        ([], [detected("a", HERE)], "correct"),
        ([], [], "confirm"),
        ([detected("a", HERE), detected("b", THERE)], [detected("a", HERE)], "correct"),
    ],
)
def test_agreement_is_by_name_and_place(
    ours: list[DetectedObject], theirs: list[DetectedObject], word: str
) -> None:
    assert agreement(local(*ours), theirs, []) == word


def test_classes_agree_by_the_surest() -> None:
    ours = PredictionBody(
        task="classification",
        classes=[NamedClass(label="a", confidence=0.6), NamedClass(label="b", confidence=0.4)],
    )
    sure_b = [NamedClass(label="b", confidence=0.9), NamedClass(label="a", confidence=0.2)]
    assert agreement(ours, [], sure_b) == "correct"
    assert agreement(ours, [], sure_b[1:]) == "confirm"
    assert agreement(ours, [], []) == "unknown"


def test_agreement_does_not_hang_on_the_order_of_the_boxes() -> None:
    ours = [detected("a", (0.1, 0.1, 0.5, 0.5)), detected("b", (0.15, 0.1, 0.55, 0.5))]
    words = {
        agreement(local(*one), list(other), [])
        for one in permutations(ours)
        for other in permutations(ours)
    }
    assert words == {"confirm"}


units = st.floats(0, 1)
boxes = st.builds(
    lambda x1, y1, x2, y2: (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)),
    units, units, units, units,
)  # fmt: skip


@given(boxes, boxes)
def test_overlap_is_symmetric_and_a_share(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> None:
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("a\x1b[2Jb\x00\u202e", "a[2jb"),
        ("Lap\u2066top\u2069", "laptop"),
        ("two\nlines\tof", "two lines of"),
        ("\x07\u200f", None),
        ("\u0645\u06cc\u200c\u0631\u0648\u062f", "\u0645\u06cc\u200c\u0631\u0648\u062f"),
    ],
)
def test_what_steers_a_terminal_is_no_part_of_a_name(theirs: str, ours: str | None) -> None:
    assert LabelMap().ours(theirs) == ours
    assert LabelMap({"laptop": "note"}).ours("lap\u202etop") == "note"


@given(st.lists(boxes, max_size=6), st.lists(boxes, max_size=6))
def test_each_box_is_matched_once(
    ours: list[tuple[float, float, float, float]], theirs: list[tuple[float, float, float, float]]
) -> None:
    pairs = match(ours, theirs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)


@given(st.floats(-50, 864), st.floats(-50, 576), st.floats(50, 3000), st.floats(50, 3000))
def test_boxes_are_normalised_and_stay_in_the_picture(
    left: float, top: float, width: float, height: float
) -> None:
    x1, y1, x2, y2 = box_of(left, top, width, height, of=(864, 576))
    assert 0 <= x1 <= x2 <= 1
    assert 0 <= y1 <= y2 <= 1


@pytest.mark.parametrize(
    "box",
    [
        (math.nan, 0.1, 0.2, 0.2),
        (0.1, 0.1, math.inf, 0.2),
        (100, 0.1, 200, 0.2),
        (0.1, -3, 0.2, 2),
        (0.5, 0.5, -0.2, 0.2),
    ],
)
def test_a_box_that_cannot_be_in_the_picture_is_none(
    box: tuple[float, float, float, float],
) -> None:
    with pytest.raises(ValueError, match="a box"):
        box_of(*box)


def test_a_polygon_has_a_box_around_it() -> None:
    points = [(50.0, 10.0), (90.0, 20.0), (80.0, 40.0), (40.0, 30.0)]
    assert box_around(points, of=(100, 50)) == (0.4, 0.2, 0.9, 0.8)
    with pytest.raises(ValueError, match="a polygon"):
        box_around([*points, (math.nan, 20.0)], of=(100, 50))
    with pytest.raises(ValueError, match="outside"):
        box_around([(200.0, 10.0), (300.0, 20.0)], of=(100, 50))


def test_a_confidence_that_was_rounded_is_the_nearest_that_there_is() -> None:
    assert Named("laptop", 1.0000001).confidence == 1
    assert Seen("laptop", -1e-9, HERE).confidence == 0
    for confidence in (1.002, -0.002, math.nan):
        with pytest.raises(ValueError, match="a confidence"):
            Named("laptop", confidence)
