from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.inference.geometry import Fit, place

sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
inputs = st.tuples(st.integers(8, 1280), st.integers(8, 1280))
fits = st.sampled_from(get_args(Fit))


@given(fits, sizes, inputs, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_box_of_the_frame_comes_back_from_the_input(
    fit: Fit, frame: tuple[int, int], size: tuple[int, int], corners: list[float]
) -> None:
    geometry = place(fit, frame, size).geometry
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    box = np.array([[x1, y1, x2, y2]], np.float32) * np.array([*frame, *frame], np.float32)
    back = geometry.to_frame(geometry.to_input(box))
    np.testing.assert_allclose(back, box, atol=max(frame) * 1e-5 + 1e-3)


@given(fits, sizes, inputs)
def test_nothing_maps_outside_the_frame(
    fit: Fit, frame: tuple[int, int], size: tuple[int, int]
) -> None:
    far = np.array([[-1e5, -1e5, 1e5, 1e5]], np.float32)
    back = place(fit, frame, size).geometry.to_frame(far)
    assert (back >= 0).all()
    assert (back <= np.array([*frame, *frame])).all()


@given(fits, sizes, inputs)
def test_the_picture_lies_within_the_input_and_its_cut_within_the_frame(
    fit: Fit, frame: tuple[int, int], size: tuple[int, int]
) -> None:
    placement = place(fit, frame, size)
    assert placement.left >= 0
    assert placement.top >= 0
    assert placement.left + placement.width <= size[0]
    assert placement.top + placement.height <= size[1]
    x1, y1, x2, y2 = placement.cut
    assert 0 <= x1 < x2 <= frame[0]
    assert 0 <= y1 < y2 <= frame[1]


def test_a_letterbox_is_centred_and_rounded_as_ultralytics_does() -> None:
    placement = place("letterbox", (773, 512), (320, 320))
    assert (placement.left, placement.top) == (0, 54)
    assert (placement.width, placement.height) == (320, 212)
    assert placement.geometry.scale_x == placement.geometry.scale_y == 320 / 773


def test_a_letterbox_to_the_top_left_cuts_sizes_as_yolox_does() -> None:
    placement = place("letterbox_top_left", (773, 512), (416, 416))
    assert (placement.left, placement.top) == (0, 0)
    # 773 * (416 / 773) falls just below 416, and YOLOX cuts: a pixel less, in its scores too.
    assert (placement.width, placement.height) == (415, 275)


def test_a_stretch_scales_each_axis_by_itself() -> None:
    geometry = place("stretch", (200, 100), (50, 50)).geometry
    assert (geometry.scale_x, geometry.scale_y) == (0.25, 0.5)


def test_a_crop_takes_the_middle() -> None:
    placement = place("crop", (640, 480), (224, 224))
    assert placement.cut == (80, 0, 560, 480)
    assert placement.geometry.to_frame(np.array([[0, 0, 224, 224]], np.float32))[
        0
    ] == pytest.approx([80, 0, 560, 480])


def test_a_crop_after_a_larger_resize_takes_less_of_the_picture() -> None:
    placement = place("crop", (512, 512), (224, 224), resize_px=256)
    assert placement.cut == (32, 32, 480, 480)


def test_a_crop_to_an_input_that_is_not_square_fills_it() -> None:
    placement = place("crop", (1000, 1000), (200, 100))
    assert placement.cut == (0, 250, 1000, 750)
