import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.artwork import CANVAS_PX, draw_artwork
from training.augment import CROP_PX, random_crop
from training.etched import SIDE_PX, draw_etched, etched_board
from training.etched_defects import spoil
from training.lines import Sample
from visionedge.cameras.defects import DEFECT_LABELS

OPEN, SHORT, MOUSEBITE, SPUR, SPURIOUS, PIN_HOLE = range(6)
ADDS = (SHORT, SPUR, SPURIOUS)


def ladder() -> NDArray[np.uint8]:
    """Four wide traces beside a plane, with bare board all around."""
    copper = np.zeros((400, 400), np.uint8)
    for x in (40, 80, 120, 160):
        copper[40:360, x : x + 20] = 255
    copper[40:360, 220:340] = 255
    return copper


def spoilt(seeds: range) -> list[tuple[NDArray[np.uint8], NDArray[np.int32], int]]:
    """The ladder with one defect, its box in whole pixels, and its class; a seed each."""
    found = []
    for seed in seeds:
        copper, xyxy, class_id = spoil(np.random.default_rng(seed), ladder(), 1)
        found += [(copper, xyxy[0].round().astype(np.int32), int(class_id[0]))]
    return found


def pieces(raster: NDArray[np.uint8]) -> int:
    """How many parts of more than crumbs hang together."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(raster, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= 6).sum())


def test_every_change_of_the_copper_is_inside_its_truth_box_and_of_its_kind() -> None:
    sound = ladder()
    for copper, (x1, y1, x2, y2), class_id in spoilt(range(80)):
        changed = copper != sound
        inside = np.zeros_like(changed)
        inside[max(0, y1) : y2, max(0, x1) : x2] = True
        assert changed.any()
        assert not (changed & ~inside).any()
        assert (copper[changed] == (255 if class_id in ADDS else 0)).all()


def test_all_six_classes_are_met_about_as_often() -> None:
    classes = [class_id for _, _, class_id in spoilt(range(120))]
    assert np.bincount(classes, minlength=len(DEFECT_LABELS)).min() >= 8


def test_only_shorts_join_and_mostly_do_while_opens_mostly_part() -> None:
    whole, joined, parted = pieces(ladder()), [], []
    for copper, _, class_id in spoilt(range(120)):
        if class_id == SHORT:
            joined.append(pieces(copper) < whole)
        elif class_id == OPEN:
            parted.append(pieces(copper) > whole)
        else:
            assert pieces(copper) >= whole
    # The rest are frayed strokes that leave a thread, as etching does.
    assert np.mean(joined) > 0.7
    assert np.mean(parted) > 0.6


def test_the_same_seed_gives_the_same_board_and_another_seed_another() -> None:
    first, again, other = draw_etched(11), draw_etched(11), draw_etched(12)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("seed", [3, 4, 5, 6])
def test_a_scan_shows_dark_copper_on_a_light_board_and_boxes_within_it(seed: int) -> None:
    board = etched_board(seed)
    assert board.image.shape == (SIDE_PX, SIDE_PX, 3)
    assert len(board.xyxy) == len(board.class_id)
    assert (board.xyxy >= 0).all()
    assert (board.xyxy <= SIDE_PX).all()
    low, high = np.percentile(board.image, (2, 98))
    assert high - low > 40


def test_artwork_holds_both_copper_and_bare_board() -> None:
    shares = [float((draw_artwork(np.random.default_rng(s)) > 0).mean()) for s in range(12)]
    assert draw_artwork(np.random.default_rng(0)).shape == (CANVAS_PX, CANVAS_PX)
    assert 0.15 < np.mean(shares) < 0.7


def test_a_crop_of_a_scan_is_grey_and_keeps_its_truth_in_place() -> None:
    image = np.full((640, 640), 240, np.uint8)
    xyxy = np.array([(300, 280, 350, 330)], np.float32)
    image[280:330, 300:350] = 10
    rng, contrasts = np.random.default_rng(5), []
    for _ in range(40):
        crop = random_crop(Sample(image, xyxy, np.array([SPURIOUS], np.int32)), rng)
        assert crop.image.shape == (CROP_PX, CROP_PX, 3)
        for box in crop.xyxy[((crop.xyxy > 8) & (crop.xyxy < CROP_PX - 8)).all(axis=1)]:
            x1, y1, x2, y2 = (round(float(side)) for side in box)
            around = crop.image[y1 - 6 : y2 + 6, x1 - 6 : x2 + 6].astype(float)
            inside = crop.image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].astype(float)
            contrasts.append(float(around[:4].mean() - inside.mean()))
    assert len(contrasts) > 15
    assert min(contrasts) > 40
