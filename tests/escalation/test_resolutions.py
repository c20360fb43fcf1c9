"""How a verdict settles an escalation: matching, precedence, and the same end every time."""

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.predictions import boxes, classes

from visionedge.entities import Outcome, Prediction, Resolution
from visionedge.escalation.claims import make_claims
from visionedge.escalation.resolution import make_note, resolve
from visionedge.wire import DetectedObject, NamedClass, Verdict, VerifierBody

AREA = (0, 0, 100, 100)
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
HERE = (10.0, 10.0, 30.0, 30.0)
THERE = (60.0, 60.0, 90.0, 90.0)
LABELS = ("open", "Missing Hole")


def note(prediction: Prediction, *, match_iou: float = 0.3) -> Mapping[str, Any]:
    accept = np.full(len(prediction), 0.5, dtype=np.float32)
    kept = make_note(make_claims(prediction, accept, 0.1, AREA), match_iou)
    # As the spool gives it back, after a restart.
    restored: dict[str, Any] = json.loads(json.dumps(kept))
    return restored


def seen(label: str, xyxy: tuple[float, float, float, float]) -> DetectedObject:
    x1, y1, x2, y2 = (v / 100 for v in xyxy)
    return DetectedObject(label=label, confidence=0.9, box=(x1, y1, x2, y2))


def named(label: str, confidence: float = 0.9) -> NamedClass:
    return NamedClass(label=label, confidence=confidence)


def verdict(
    *detections: DetectedObject,
    tags: list[NamedClass] | None = None,
    **fields: Any,  # noqa: ANN401 - any field of the message
) -> Verdict:
    answer = {
        "verdict_id": "v1",
        "escalation_id": "e1",
        "verified_at": AT,
        "verifier": VerifierBody(name="second-eye"),
        "detections": list(detections),
        "classes": tags or [],
    }
    return Verdict(**(answer | fields))


def counts(resolution: Resolution) -> tuple[int, int, int, int]:
    r = resolution
    return r.confirmed, r.corrected, r.rejected, r.missed


ONE = boxes(0.4, labels=LABELS, xyxy=[HERE])


def test_the_same_object_with_the_same_name_is_confirmed() -> None:
    settled = resolve(note(ONE), verdict(seen("open", HERE)))
    agreed = (("open", Outcome.CONFIRMED),)
    assert settled == Resolution(
        "e1",
        Outcome.CONFIRMED,
        AT,
        "second-eye",
        confirmed=1,
        agreement=agreed,
        judged=(("open", 0.4, True),),
    )


def test_agreement_names_our_label_and_of_what_was_missed_theirs() -> None:
    settled = resolve(note(ONE), verdict(seen("short", HERE), seen("spur", THERE)))
    assert settled.agreement == (("open", Outcome.CORRECTED), ("spur", Outcome.MISSED))
    assert resolve(note(ONE), verdict()).agreement == (("open", Outcome.REJECTED),)


def test_the_same_object_with_another_name_is_corrected() -> None:
    settled = resolve(note(ONE), verdict(seen("short", HERE)))
    assert (settled.outcome, counts(settled)) == (Outcome.CORRECTED, (0, 1, 0, 0))


def test_a_claim_without_an_object_is_rejected() -> None:
    settled = resolve(note(ONE), verdict())
    assert (settled.outcome, counts(settled)) == (Outcome.REJECTED, (0, 0, 1, 0))


def test_an_object_nobody_claimed_is_missed() -> None:
    settled = resolve(note(boxes()), verdict(seen("open", HERE)))
    assert (settled.outcome, counts(settled)) == (Outcome.MISSED, (0, 0, 0, 1))


def test_an_empty_scene_that_is_called_empty_is_confirmed() -> None:
    settled = resolve(note(boxes()), verdict())
    assert (settled.outcome, counts(settled)) == (Outcome.CONFIRMED, (0, 0, 0, 0))


@pytest.mark.parametrize(
    "spelling", ["missing_hole", "missing-hole", "MISSING HOLE", " Missing  Hole "]
)
def test_case_and_separators_are_no_disagreement(spelling: str) -> None:
    ours = boxes(0.4, labels=LABELS, class_id=[1], xyxy=[HERE])
    assert resolve(note(ours), verdict(seen(spelling, HERE))).outcome is Outcome.CONFIRMED


def test_a_sure_claim_and_a_doubted_one_are_both_claims_and_the_note_tells_them_apart() -> None:
    ours = note(boxes(0.9, 0.4, labels=LABELS, xyxy=[HERE, THERE]))
    assert [claim["doubted"] for claim in ours["claims"]] == [False, True]
    settled = resolve(ours, verdict(seen("open", HERE), seen("open", THERE)))
    assert counts(settled) == (2, 0, 0, 0)


def test_noise_below_the_floor_is_no_claim() -> None:
    ours = note(boxes(0.9, 0.05, labels=LABELS, xyxy=[HERE, THERE]))
    assert counts(resolve(ours, verdict(seen("open", HERE)))) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("match_iou", "outcome"), [(0.33, Outcome.CONFIRMED), (0.34, Outcome.MISSED)]
)
def test_boxes_are_one_object_from_the_overlap_on_that_held_when_it_was_asked(
    match_iou: float, outcome: Outcome
) -> None:
    # Two squares of 20, moved by 10: a third of their union is shared.
    ours = note(boxes(0.4, labels=LABELS, xyxy=[(10, 10, 30, 30)]), match_iou=match_iou)
    assert resolve(ours, verdict(seen("open", (20, 10, 40, 30)))).outcome is outcome


def test_boxes_that_only_touch_are_never_one_object() -> None:
    ours = note(ONE, match_iou=0.0)
    assert resolve(ours, verdict(seen("open", (30, 10, 50, 30)))).outcome is Outcome.MISSED


def test_an_object_settles_one_claim_only() -> None:
    twice = boxes(0.9, 0.4, labels=LABELS, xyxy=[HERE, (11, 10, 31, 30)])
    settled = resolve(note(twice), verdict(seen("open", HERE)))
    assert (settled.outcome, counts(settled)) == (Outcome.REJECTED, (1, 0, 1, 0))


def test_of_two_names_for_one_object_the_one_that_agrees_is_matched() -> None:
    two = boxes(0.9, 0.4, labels=("dog", "cat"), class_id=[0, 1], xyxy=[(11, 10, 31, 30), HERE])
    settled = resolve(note(two), verdict(seen("dog", HERE)))
    assert counts(settled) == (1, 0, 1, 0)


def test_a_name_that_agrees_does_not_reach_over_to_the_next_object() -> None:
    two = boxes(0.9, 0.4, labels=("dog", "cat"), class_id=[0, 1], xyxy=[(20, 10, 40, 30), HERE])
    settled = resolve(note(two), verdict(seen("dog", HERE)))
    assert counts(settled) == (0, 1, 1, 0)


def test_the_outcome_is_the_worst_of_all() -> None:
    far = (40.0, 10.0, 55.0, 25.0)
    ours = note(boxes(0.9, 0.8, 0.7, labels=LABELS, class_id=[0, 0, 0], xyxy=[HERE, THERE, far]))
    confirmed, corrected = seen("open", HERE), seen("short", THERE)
    missed = seen("open", (10.0, 60.0, 30.0, 80.0))
    extra = seen("open", far)
    for answer, outcome in [
        ((confirmed, corrected, missed), Outcome.MISSED),
        ((confirmed, corrected), Outcome.CORRECTED),
        ((confirmed, seen("open", THERE)), Outcome.REJECTED),
        ((confirmed, seen("open", THERE), extra), Outcome.CONFIRMED),
    ]:
        assert resolve(ours, verdict(*answer)).outcome is outcome


def test_corners_given_the_wrong_way_round_are_the_same_box() -> None:
    assert resolve(note(ONE), verdict(seen("open", (30, 30, 10, 10)))).outcome is Outcome.CONFIRMED


def test_classes_that_compete_are_settled_by_the_best_of_each_side() -> None:
    ours = note(classes(0.5, 0.45, 0.05))
    assert resolve(ours, verdict(tags=[named("Class_0")])).outcome is Outcome.CONFIRMED
    close = [named("class 0", 0.4), named("class 1", 0.6)]
    settled = resolve(ours, verdict(tags=close))
    assert (settled.outcome, counts(settled)) == (Outcome.CORRECTED, (0, 1, 0, 0))
    assert resolve(ours, verdict()).outcome is Outcome.REJECTED


def test_classes_that_stand_by_themselves_are_settled_each() -> None:
    ours = note(classes(0.9, 0.3, 0.01, multilabel=True))
    settled = resolve(ours, verdict(tags=[named("class 0"), named("class 2")]))
    assert (settled.outcome, counts(settled)) == (Outcome.MISSED, (1, 0, 1, 1))


def test_a_lone_class_below_the_floor_claims_nothing() -> None:
    ours = note(classes(0.02))
    assert resolve(ours, verdict()).outcome is Outcome.CONFIRMED
    assert resolve(ours, verdict(tags=[named("class 0")])).outcome is Outcome.MISSED


@pytest.mark.parametrize(
    ("ours", "answer"),
    [
        (ONE, verdict(seen("open", HERE), status="unverified")),
        (ONE, verdict(tags=[named("open")])),
        (classes(0.5, 0.4), verdict(seen("class 0", HERE))),
    ],
)
def test_no_answer_to_the_question_leaves_the_local_word(ours: Prediction, answer: Verdict) -> None:
    settled = resolve(note(ours), answer)
    assert (settled.outcome, counts(settled)) == (Outcome.EXPIRED, (0, 0, 0, 0))
    assert settled.verifier == "second-eye"


def test_the_time_is_that_of_the_verdict_in_utc() -> None:
    local = AT.astimezone(timezone(timedelta(hours=9)))
    settled = resolve(note(ONE), verdict(verified_at=local))
    assert settled.resolved_at.isoformat() == AT.isoformat()


GRID = st.integers(0, 10).map(lambda i: i * 10.0)
BOXES = st.tuples(GRID, GRID, GRID, GRID)
OBJECTS = st.lists(st.builds(seen, st.sampled_from(["open", "OPEN", "short"]), BOXES), max_size=8)
CLAIMED = st.lists(
    BOXES.map(lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))),
    max_size=8,
)


@given(CLAIMED, OBJECTS, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.3, 1.0]))
def test_the_order_of_the_verdict_and_the_number_of_times_do_not_matter(
    claimed: list[tuple[float, float, float, float]],
    objects: list[DetectedObject],
    shuffler: random.Random,
    match_iou: float,
) -> None:
    ours = note(boxes(*[0.4] * len(claimed), labels=LABELS, xyxy=claimed), match_iou=match_iou)
    first = resolve(ours, verdict(*objects))
    shuffled = list(objects)
    shuffler.shuffle(shuffled)
    assert resolve(ours, verdict(*shuffled)) == first
    assert resolve(ours, verdict(*objects)) == first


def test_two_objects_that_fit_a_claim_equally_well_are_settled_alike_in_either_order() -> None:
    # The first claim overlaps both by a third; the second only the right one, and less.
    ours = note(
        boxes(0.9, 0.4, labels=LABELS, xyxy=[(25, 0, 75, 50), (50, 25, 100, 100)]), match_iou=0.2
    )
    left, right = seen("open", (0, 0, 50, 50)), seen("open", (50, 0, 100, 50))
    assert resolve(ours, verdict(left, right)) == resolve(ours, verdict(right, left))


@given(CLAIMED, OBJECTS)
def test_every_claim_and_every_object_is_counted_once(
    claimed: list[tuple[float, float, float, float]], objects: list[DetectedObject]
) -> None:
    ours = note(boxes(*[0.4] * len(claimed), labels=LABELS, xyxy=claimed))
    confirmed, corrected, rejected, missed = counts(resolve(ours, verdict(*objects)))
    assert confirmed + corrected + rejected == len(ours["claims"])
    assert confirmed + corrected + missed == len(objects)


@given(
    st.lists(st.sampled_from(["class 0", "class_1", "Class 2", "else"]), max_size=4, unique=True),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_the_order_of_classes_does_not_matter(
    labels: list[str], multilabel: bool, shuffler: random.Random
) -> None:
    ours = note(classes(0.5, 0.3, 0.2, multilabel=multilabel))
    tags = [named(label) for label in labels]
    first = resolve(ours, verdict(tags=tags))
    shuffler.shuffle(tags)
    assert resolve(ours, verdict(tags=tags)) == first


def test_the_largest_verdict_is_settled_in_a_moment() -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 60, (400, 2))
    ours = [tuple(map(float, (x, y, x + 30, y + 30))) for x, y in corner]
    answer = [seen("open", (x, y, x + 30, y + 30)) for x, y in rng.uniform(0, 60, (1000, 2))]
    kept = note(boxes(*[0.4] * 400, labels=LABELS, xyxy=ours))  # type: ignore[arg-type] # tuples of four
    settled = resolve(kept, verdict(*answer))
    assert settled.confirmed + settled.missed == 1000


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-05-04T14:00:00+02:00"]
)
def test_a_verdict_counts_whatever_its_clock_says(at: str) -> None:
    settled = resolve(note(ONE), verdict(seen("open", HERE), verified_at=at))
    assert settled.outcome is Outcome.CONFIRMED
    assert settled.resolved_at.utcoffset() == timedelta(0)
