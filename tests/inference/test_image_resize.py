import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.inference.image_resize import resize_into

SIDES = st.integers(1, 24)
STEPS = st.integers(1, 9)


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(
    width=SIDES, height=SIDES, step_x=STEPS, step_y=STEPS, rest=st.sampled_from([(0, 0), (1, 2)])
)
def test_the_pixels_are_those_of_opencv(
    width: int, height: int, step_x: int, step_y: int, rest: tuple[int, int]
) -> None:
    image = noise(width * step_x + rest[0], height * step_y + rest[1])
    small = np.empty((height, width, 3), np.uint8)
    cut = (0, 0, image.shape[1], image.shape[0])
    resize_into(small, cut, cv2.INTER_LINEAR)(image)
    np.testing.assert_array_equal(small, cv2.resize(image, (width, height)))


@pytest.mark.parametrize("step", [*range(2, 16), 49, 93, 99])
def test_a_whole_number_of_times_smaller_is_exact_for_each_step(step: int) -> None:
    image = noise(16 * step, 9 * step)
    small = np.empty((9, 16, 3), np.uint8)
    resize_into(small, (0, 0, 16 * step, 9 * step), cv2.INTER_LINEAR)(image)
    np.testing.assert_array_equal(small, cv2.resize(image, (16, 9)))


def test_1080p_into_640_picks_every_third_pixel() -> None:
    image, small = noise(1920, 1080), np.empty((360, 640, 3), np.uint8)
    resize_into(small, (0, 0, 1920, 1080), cv2.INTER_LINEAR)(image)
    np.testing.assert_array_equal(small, image[1::3, 1::3])


@pytest.mark.parametrize(
    "interpolation", [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC]
)
def test_only_the_cut_is_scaled_by_the_asked_interpolation(interpolation: int) -> None:
    image, small = noise(50, 40), np.empty((4, 6, 3), np.uint8)
    cut = (7, 9, 7 + 6 * 3, 9 + 4 * 5)
    resize_into(small, cut, interpolation)(image)
    wanted = cv2.resize(image[9:29, 7:25], (6, 4), interpolation=interpolation)
    np.testing.assert_array_equal(small, wanted)


def test_a_frame_is_written_into_the_same_memory() -> None:
    small = np.zeros((4, 6, 3), np.uint8)
    resize = resize_into(small, (0, 0, 18, 12), cv2.INTER_LINEAR)
    before = small.ctypes.data
    resize(np.full((12, 18, 3), 200, np.uint8))
    assert small.ctypes.data == before
    assert (small == 200).all()
