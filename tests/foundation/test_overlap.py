"""How much boxes overlap, in arrays and by plain numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.overlap import iou, iou_of_two

COORDINATES = st.lists(st.integers(0, 40).map(float), min_size=4, max_size=4)


def test_overlap_is_the_shared_area_over_the_joint_area() -> None:
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [3, 3, 3, 3]], np.float32)
    np.testing.assert_allclose(iou(a, b), [[1, 1 / 3, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("empty", [[3, 3, 3, 3], [3, 3, 9, 3], [3, 3, 3, 9]])
def test_boxes_without_area_overlap_nothing(empty: list[float]) -> None:
    table = np.array([empty], np.float32)
    assert iou(table, table).tolist() == [[0]]
    assert iou_of_two(empty, empty) == 0


def test_what_is_no_number_overlaps_nothing() -> None:
    assert iou_of_two([0, 0, float("nan"), 10], [0, 0, 10, 10]) == 0


@given(COORDINATES, COORDINATES)
def test_plain_numbers_and_arrays_say_the_same(one: list[float], other: list[float]) -> None:
    boxes = [
        [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)] for x1, y1, x2, y2 in (one, other)
    ]
    table = np.array(boxes, np.float64)
    assert iou_of_two(*boxes) == pytest.approx(iou(table[:1], table[1:])[0, 0])
