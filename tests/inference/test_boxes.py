import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from visionedge.errors import ModelRunError
from visionedge.inference.boxes import (
    Limits,
    candidates,
    to_detections,
    xywh_to_xyxy,
)
from visionedge.inference.geometry import place
from visionedge.inference.nms import nms

WHOLE = place("stretch", (100, 100), (100, 100)).geometry
LIMITS = Limits(floor=0.1, nms_iou=0.5, max_detections=300)


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def greedily(
    xyxy: NDArray[np.float32],
    confidence: NDArray[np.float32],
    class_id: NDArray[np.int32],
    limit: float,
) -> list[int]:
    """Suppression as it is taught: one box after the other."""
    kept: list[int] = []
    for index in np.argsort(-confidence, kind="stable").tolist():
        if all(
            class_id[index] != class_id[other] or overlap(xyxy[index], xyxy[other]) <= limit
            for other in kept
        ):
            kept.append(index)
    return kept


def some_boxes(count: int, seed: int, side: float = 400) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    # Whole numbers, so that no overlap lies on the limit by rounding only.
    corner = random.integers(-20, round(side), (count, 2))
    return np.hstack([corner, corner + random.integers(1, 90, (count, 2))]).astype(np.float32)


@given(
    count=st.integers(0, 320),
    classes=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    limit=st.sampled_from([0.0, 0.301, 0.451, 0.701, 1.0]),
)
def test_suppression_equals_the_naive_loop(
    count: int, classes: int, seed: int, limit: float
) -> None:
    random = np.random.default_rng(seed)
    xyxy = some_boxes(count, seed)
    confidence = (random.integers(1, 50, count) / 50).astype(np.float32)
    class_id = random.integers(0, classes, count).astype(np.int32)
    kept = nms(xyxy, confidence, class_id, limit, 1000)
    assert kept.tolist() == greedily(xyxy, confidence, class_id, limit)


def test_boxes_of_other_classes_do_not_suppress_each_other() -> None:
    xyxy = np.array([[-50, 0, 10, 10], [-50, 0, 10, 10], [-49, 0, 10, 10]], np.float32)
    confidence = np.array([0.9, 0.8, 0.7], np.float32)
    kept = nms(xyxy, confidence, np.array([0, 1, 0], np.int32), 0.5, 10)
    assert kept.tolist() == [0, 1]


def test_suppression_stops_when_enough_are_kept() -> None:
    xyxy = some_boxes(700, 1, side=2000)
    confidence = np.linspace(1, 0.2, 700, dtype=np.float32)
    class_id = np.zeros(700, np.int32)
    kept = nms(xyxy, confidence, class_id, 0.5, 300)
    assert kept.tolist() == greedily(xyxy, confidence, class_id, 0.5)[:300]


def test_only_the_thousand_best_candidates_are_looked_at() -> None:
    xyxy = np.array([[n, 0, n + 0.5, 1] for n in range(3000)], np.float32)
    confidence = np.linspace(0.2, 1, 3000, dtype=np.float32)
    # All but the worst of the best thousand lie in one place.
    xyxy[2001:] = [0, 5, 1, 6]
    kept = nms(xyxy, confidence, np.zeros(3000, np.int32), 0.5, 300)
    assert kept.tolist() == [2999, 2000]


def test_no_boxes_are_none() -> None:
    kept = nms(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32), 0.5, 9)
    assert kept.tolist() == []


def test_boxes_of_many_classes_at_the_borders_do_not_meet() -> None:
    far = 9.9e5
    xyxy = np.array([[-far, -far, far, far]] * 3, np.float32)
    class_id = np.array([0, 1, 65_535], np.int32)
    kept = nms(xyxy, np.array([0.7, 0.8, 0.9], np.float32), class_id, 0.0, 10)
    assert kept.tolist() == [2, 1, 0]


def test_equal_confidences_keep_their_order() -> None:
    xyxy = np.array([[0, 0, 5, 5], [20, 0, 25, 5], [40, 0, 45, 5]], np.float32)
    kept = nms(xyxy, np.full(3, 0.5, np.float32), np.zeros(3, np.int32), 0.5, 10)
    assert kept.tolist() == [0, 1, 2]


def test_centre_and_size_become_corners() -> None:
    xyxy = xywh_to_xyxy(np.array([[10, 20, 4, 6]], np.float32))
    assert xyxy.tolist() == [[8, 17, 12, 23]]


def detections(
    xyxy: NDArray[np.float32], confidence: list[float], limits: Limits = LIMITS
) -> NDArray[np.float32]:
    found = to_detections(
        xyxy,
        np.array(confidence, np.float32),
        np.zeros(len(xyxy), np.int32),
        geometry=WHOLE,
        labels=("a",),
        limits=limits,
        temperature=1.0,
    )
    return found.xyxy


@given(arrays(np.float32, (7, 4), elements=st.floats(-1e5, 1e5, width=32)))
def test_no_box_leaves_the_frame_or_is_empty(xyxy: NDArray[np.float32]) -> None:
    found = detections(xyxy, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert (found >= 0).all()
    assert (found <= 100).all()
    assert (found[:, 2] > found[:, 0]).all()
    assert (found[:, 3] > found[:, 1]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_coordinate_that_is_none_is_an_error(bad: float) -> None:
    xyxy = np.array([[0, 0, 10, 10], [0, bad, 10, 10]], np.float32)
    with pytest.raises(ModelRunError, match="model"):
        detections(xyxy, [0.9, 0.8])


def test_at_most_as_many_boxes_as_asked_the_best_ones() -> None:
    xyxy = np.array([[0, 0, 5, 5], [20, 0, 25, 5], [40, 0, 45, 5]], np.float32)
    limits = Limits(floor=0.1, nms_iou=0.5, max_detections=2)
    assert detections(xyxy, [0.2, 0.4, 0.3], limits).tolist() == [[20, 0, 25, 5], [40, 0, 45, 5]]


def test_the_floor_is_part_of_what_is_kept() -> None:
    score = np.array([0.1, 0.0999, 0.11, 0], np.float32)
    assert candidates(score, LIMITS, 1.0).tolist() == [0, 2]
    assert candidates(np.empty(0, np.float32), LIMITS, 1.0).tolist() == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.5, 12.0])
def test_a_score_that_is_no_probability_is_an_error(bad: float) -> None:
    with pytest.raises(ModelRunError, match="head"):
        candidates(np.array([0.1, bad, 0.2], np.float32), LIMITS, 1.0)


def test_a_score_may_exceed_one_by_rounding_and_comes_out_as_one() -> None:
    xyxy = np.array([[0, 0, 5, 5]], np.float32)
    assert candidates(np.array([1.0005], np.float32), LIMITS, 1.0).tolist() == [0]
    found = to_detections(
        xyxy,
        np.array([1.0005], np.float32),
        np.zeros(1, np.int32),
        geometry=WHOLE,
        labels=("a",),
        limits=LIMITS,
        temperature=1.0,
    )
    assert found.confidence.tolist() == [1.0]


def test_the_floor_counts_after_calibration() -> None:
    # Twice the temperature brings 0.9 to 0.75: the root of its odds of nine is three.
    limits = Limits(floor=0.74, nms_iou=0.5, max_detections=10)
    assert candidates(np.array([0.88, 0.9], np.float32), limits, 2.0).tolist() == [1]
    found = to_detections(
        np.array([[0, 0, 5, 5]], np.float32),
        np.array([0.9], np.float32),
        np.zeros(1, np.int32),
        geometry=WHOLE,
        labels=("a",),
        limits=limits,
        temperature=2.0,
    )
    assert found.confidence[0] == pytest.approx(0.75, abs=1e-4)
