import numpy as np
import pytest
from numpy.typing import NDArray

from training.augment import CROP_PX, random_crop
from training.lines import Sample, Split, frames_of, natural_line, varied_line


def marked_frame() -> Sample:
    """A dark frame with bright rims, and bright blocks exactly where its truth says."""
    image = np.full((720, 1280, 3), 30, dtype=np.uint8)
    image[:200] = image[-180:] = 230
    xyxy = np.array([(x, y, x + 40, y + 30) for x in (300, 600, 900) for y in (250, 450)])
    for x1, y1, x2, y2 in xyxy:
        image[y1:y2, x1:x2] = 230
    return Sample(image, xyxy.astype(np.float32), np.arange(6, dtype=np.int32))


def contrast_at(picture: NDArray[np.float64], box: NDArray[np.float32]) -> float:
    """How much the inside of a box differs from the rim six pixels wide around it."""
    x1, y1, x2, y2 = (round(float(side)) for side in box)
    around, inside = picture[y1 - 6 : y2 + 6, x1 - 6 : x2 + 6], picture[y1:y2, x1:x2]
    rim = (around.sum() - inside.sum()) / (around.size - inside.size)
    return abs(float(inside.mean()) - float(rim))


def test_the_truth_moves_with_the_picture() -> None:
    rng = np.random.default_rng(3)
    contrasts = []
    for _ in range(60):
        crop = random_crop(marked_frame(), rng)
        picture = crop.image.mean(axis=2)
        away_from_edge = (crop.xyxy > 12).all(axis=1) & (crop.xyxy < CROP_PX - 12).all(axis=1)
        contrasts += [contrast_at(picture, box) for box in crop.xyxy[away_from_edge]]
    assert len(contrasts) > 50
    assert min(contrasts) > 30


def test_a_crop_is_of_the_nets_size_and_keeps_boxes_within_itself() -> None:
    rng = np.random.default_rng(4)
    for _ in range(30):
        crop = random_crop(marked_frame(), rng)
        assert crop.image.shape == (CROP_PX, CROP_PX, 3)
        assert crop.image.dtype == np.uint8
        assert len(crop.xyxy) == len(crop.class_id)
        assert (crop.xyxy >= 0).all()
        assert (crop.xyxy <= CROP_PX).all()


def test_the_same_seed_cuts_the_same_crop() -> None:
    first = random_crop(marked_frame(), np.random.default_rng(9))
    again = random_crop(marked_frame(), np.random.default_rng(9))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.xyxy, again.xyxy)


def test_frames_of_a_line_show_other_boards_each_time() -> None:
    frames = list(frames_of(natural_line(int(Split.MEASURE)), 3))
    assert all(sample.image.shape == (720, 1280, 3) for sample in frames)
    assert np.abs(frames[0].image.astype(int) - frames[1].image.astype(int)).mean() > 5


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_a_varied_line_is_the_same_for_a_seed(seed: int) -> None:
    assert varied_line(seed) == varied_line(seed)
    assert varied_line(seed) != varied_line(seed + 1)
