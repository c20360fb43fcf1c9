"""Tiles cover the frame, and every object comes out of them once."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.errors import ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.tiles import Tile, Tiling, cut, merge
from visionedge.overlap import iou

LIMITS = Limits(0.25, 0.45, 300)
TILING = Tiling(320, 240, 0.25)
FRAME = Tile(0, 0, 1000, 700)
LABELS = ("a", "b")
LEAST_VISIBLE = 0.2
"""Share of an object that a tile must show for the model to see it."""


def detections(rows: list[Any], confidence: list[float], ids: list[int]) -> Detections:
    return Detections(
        np.array(rows, np.float32).reshape(-1, 4),
        np.array(confidence, np.float32),
        np.array(ids, np.int32),
        LABELS,
    )


def seen_by(tile: Tile, objects: NDArray[np.float32], ids: list[int]) -> Detections:
    """What a perfect detector says of a tile: the part of each object that the tile shows."""
    rows, confidence, classes = [], [], []
    for (x1, y1, x2, y2), number in zip(objects, ids, strict=True):
        low, high = (max(x1, tile.x1), max(y1, tile.y1)), (min(x2, tile.x2), min(y2, tile.y2))
        shown = max(0, high[0] - low[0]) * max(0, high[1] - low[1])
        share = shown / ((x2 - x1) * (y2 - y1))
        if share >= LEAST_VISIBLE:
            rows.append([low[0] - tile.x1, low[1] - tile.y1, high[0] - tile.x1, high[1] - tile.y1])
            confidence.append(0.5 + 0.4 * float(share))
            classes.append(number)
    return detections(rows, confidence, classes)


def looked_at(objects: list[tuple[float, ...]], ids: list[int], tiling: Tiling) -> Detections:
    boxes = np.array(objects, np.float32).reshape(-1, 4)
    tiles = cut(FRAME, tiling)
    return merge([seen_by(tile, boxes, ids) for tile in tiles], tiles, FRAME, LIMITS)


def test_tiles_cover_the_area_evenly_and_overlap_enough() -> None:
    tiles = cut(FRAME, TILING)
    seen = np.zeros((700, 1000), np.int64)
    for tile in tiles:
        assert (tile.x2 - tile.x1, tile.y2 - tile.y1) == (320, 240)
        seen[tile.y1 : tile.y2, tile.x1 : tile.x2] += 1
    assert seen.min() >= 1
    lefts = sorted({tile.x1 for tile in tiles})
    assert np.diff(lefts).max() <= 320 * 0.75


def test_a_small_area_is_one_tile_and_the_whole_comes_on_top_where_asked() -> None:
    assert cut(Tile(5, 6, 100, 90), TILING) == [Tile(5, 6, 100, 90)]
    assert cut(FRAME, Tiling(320, 240, 0.25, whole=True))[-1] == FRAME


def test_too_many_tiles_are_refused_with_the_mend() -> None:
    with pytest.raises(ModelRunError, match="tiles a frame") as caught:
        cut(Tile(0, 0, 5000, 4000), Tiling(64, 64, 0.5))
    assert "larger" in caught.value.hint


@given(
    columns=st.lists(st.integers(0, 240), min_size=4, max_size=4),
    rows=st.lists(st.integers(0, 160), min_size=4, max_size=4),
    sides=st.lists(st.integers(9, 60), min_size=16, max_size=16),
    ids=st.lists(st.integers(0, 1), min_size=16, max_size=16),
)
def test_every_small_object_comes_out_once_wherever_the_seams_are(
    columns: list[int], rows: list[int], sides: list[int], ids: list[int]
) -> None:
    # One object in each of sixteen fields, so that no two touch, anywhere within its field.
    objects: list[tuple[float, ...]] = []
    for number, side in enumerate(sides):
        row, column = divmod(number, 4)
        x = column * 250 + columns[column] * (250 - 61) / 241
        y = row * 175 + rows[row] * (175 - 61) / 161
        objects.append((x, y, x + side, y + sides[-number - 1]))
    found = looked_at(objects, ids, TILING)
    assert len(found) == len(objects)
    overlap = iou(np.array(objects, np.float32), found.xyxy)
    assert overlap.max(axis=1).min() > 0.98
    matched = found.class_id[overlap.argmax(axis=1)].tolist()
    assert matched == ids


@pytest.mark.parametrize(
    "box",
    [
        (100, 50, 450, 130),
        (60, 100, 160, 480),
        (200, 150, 480, 400),
        (20, 300, 980, 380),
    ],
    ids=["across one seam", "down one seam", "over a corner", "through the frame"],
)
def test_an_object_larger_than_the_overlap_is_joined_of_its_parts(
    box: tuple[float, ...],
) -> None:
    found = looked_at([box], [1], TILING)
    assert len(found) == 1
    assert found.xyxy[0].tolist() == pytest.approx(list(box), abs=1)
    assert found.class_id.tolist() == [1]


def test_two_objects_side_by_side_on_a_seam_stay_two() -> None:
    # 320 wide tiles at 0, 227, ...: the seam at 320 lies between the two.
    found = looked_at([(260, 50, 318, 110), (322, 50, 380, 110)], [0, 0], TILING)
    assert len(found) == 2


def test_objects_of_two_classes_in_one_place_stay_two() -> None:
    found = looked_at([(300, 50, 340, 90), (300, 50, 340, 90)], [0, 1], TILING)
    assert sorted(found.class_id.tolist()) == [0, 1]


def test_a_box_at_the_border_of_the_frame_is_no_part() -> None:
    found = looked_at([(0, 0, 30, 30), (970, 670, 1000, 700)], [0, 0], TILING)
    assert len(found) == 2


def test_the_best_boxes_stay_where_there_are_too_many() -> None:
    tile = detections([[0, 0, 9, 9], [50, 50, 60, 60]], [0.4, 0.8], [0, 0])
    found = merge([tile], [FRAME], FRAME, Limits(0.25, 0.45, 1))
    assert found.confidence.tolist() == pytest.approx([0.8])


def test_nothing_in_any_tile_is_nothing_in_the_frame() -> None:
    assert len(looked_at([], [], TILING)) == 0


def test_a_frame_full_of_noise_is_merged_into_a_bounded_number() -> None:
    rng = np.random.default_rng(1)
    tiles = cut(FRAME, TILING)
    found = []
    for tile in tiles:
        low = rng.uniform(0, 1, (300, 2)) * [tile.x2 - tile.x1, tile.y2 - tile.y1]
        high = np.minimum(low + 40, [tile.x2 - tile.x1, tile.y2 - tile.y1])
        rows = np.hstack((low, high)).tolist()
        found.append(detections(rows, rng.uniform(0.3, 1, 300).tolist(), [0] * 300))
    merged = merge(found, tiles, FRAME, LIMITS)
    assert len(merged) <= LIMITS.max_detections
    assert (merged.xyxy[:, :2] >= 0).all()
    assert (merged.xyxy[:, 2:] <= [FRAME.x2, FRAME.y2]).all()
