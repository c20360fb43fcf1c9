"""The virtual line: the same spec gives the same pictures, and the truth tells what is in them."""

import dataclasses
import gc
import subprocess
import sys
import time
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.cameras.pattern import PatternSource
from visionedge.cameras.scene import LineSpec, SceneTruth, VirtualLine
from visionedge.errors import SettingsError
from visionedge.settings import PatternCamera

SMALL = LineSpec(width_px=640, height_px=360, defect_rate=4.0, lot_size=2)
QUIET = LineSpec(defect_rate=6.0, lighting_drift=0.0, noise=0.0)


def _same(a: SceneTruth, b: SceneTruth) -> bool:
    return all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name))
        for field in dataclasses.fields(SceneTruth)
    )


def test_a_frame_has_the_same_bytes_in_any_order_and_from_a_fresh_line() -> None:
    indices = (0, 7, 45, 200)
    forward, backward = VirtualLine(SMALL), VirtualLine(SMALL)
    first = {i: forward.render(i).tobytes() for i in indices}
    second = {i: backward.render(i).tobytes() for i in reversed(indices)}
    assert first == second
    assert len(set(first.values())) == len(indices)


def test_another_process_renders_the_same_bytes() -> None:
    code = (
        "import zlib; from visionedge.cameras.scene import LineSpec, VirtualLine;"
        f"print(zlib.crc32(VirtualLine({SMALL!r}).render(33).tobytes()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(told.stdout) == zlib.crc32(VirtualLine(SMALL).render(33).tobytes())


def test_rendering_into_a_given_array_gives_the_same_bytes() -> None:
    line = VirtualLine(SMALL)
    out = np.full((360, 640, 3), 255, dtype=np.uint8)
    assert line.render(12, out) is out
    assert np.array_equal(out, line.render(12))


def test_another_seed_is_another_factory() -> None:
    other = dataclasses.replace(SMALL, seed=SMALL.seed + 1)
    assert not np.array_equal(VirtualLine(SMALL).render(5), VirtualLine(other).render(5))


def test_truth_is_the_same_whether_or_not_frames_were_rendered() -> None:
    rendered, asked = VirtualLine(SMALL), VirtualLine(SMALL)
    for index in (0, 90, 30):
        rendered.render(index)
    assert all(_same(rendered.truth(i), asked.truth(i)) for i in (30, 0, 90, 120))


@pytest.mark.parametrize("index", [0, 61, 150])
def test_frames_differ_from_those_of_a_good_line_only_inside_the_truth_boxes(index: int) -> None:
    # Two frames of the same line, one of it without defects: what differs is the defects.
    bad, good = (VirtualLine(dataclasses.replace(QUIET, defect_rate=rate)) for rate in (6.0, 0.0))
    difference = cv2.absdiff(bad.render(index), good.render(index)).max(axis=2)
    truth = bad.truth(index)
    assert len(truth.xyxy) > 0
    for box in truth.xyxy:
        x1, y1, x2, y2 = np.rint(box).astype(int)
        assert difference[y1:y2, x1:x2].max() > 25, f"nothing is to be seen in {box}"
        difference[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = 0
    # Boxes cut by the frame's edge beyond their share are not in the truth.
    inside = difference[:, 60:-60]
    assert inside.max() <= 3


def test_a_defect_lies_in_the_middle_of_its_box() -> None:
    bad, good = (
        VirtualLine(dataclasses.replace(QUIET, defect_rate=rate, tilt_deg=6.0))
        for rate in (6.0, 0.0)
    )
    difference = cv2.absdiff(bad.render(30), good.render(30)).max(axis=2)
    for x1, y1, x2, y2 in np.rint(bad.truth(30).xyxy).astype(int):
        if x1 < 2 or x2 > QUIET.width_px - 2:
            continue
        rows, columns = np.nonzero(difference[y1:y2, x1:x2] > 20)
        middle = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
        assert np.allclose(middle, ((x2 - x1) / 2, (y2 - y1) / 2), atol=2.6)


def test_a_line_without_defects_has_none() -> None:
    line = VirtualLine(dataclasses.replace(SMALL, defect_rate=0.0))
    assert all(len(line.truth(i).xyxy) == 0 for i in range(0, 1000, 50))


def test_about_a_third_of_the_boards_bear_defects_by_default() -> None:
    line = VirtualLine(LineSpec(lot_size=50))
    bearing, seen = set(), set()
    for index in range(0, 18_000, 60):
        truth = line.truth(index)
        bearing.update(truth.defect_board_id.tolist())
        seen.update(truth.board_id.tolist())
    assert 0.24 < len(bearing) / len(seen) < 0.45


def test_boxes_lie_in_the_frame_and_keep_their_size_in_it() -> None:
    line = VirtualLine(LineSpec(defect_rate=8.0, lot_size=1))
    sides: list[float] = []
    for index in range(0, 1400, 35):
        boxes = line.truth(index).xyxy
        assert boxes.dtype == np.float32
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2] <= 1280).all()
        assert (boxes[:, 3] <= 720).all()
        whole = (boxes[:, 0] > 0) & (boxes[:, 2] < 1280)
        sides.extend((boxes[whole, 2:] - boxes[whole, :2]).max(axis=1).tolist())
    assert min(sides) >= 18
    assert max(sides) <= 60


def test_every_class_of_defect_occurs() -> None:
    line = VirtualLine(dataclasses.replace(SMALL, defect_rate=6.0, lot_size=1))
    found = {int(c) for index in range(0, 900, 45) for c in line.truth(index).class_id}
    assert found == set(range(len(DEFECT_LABELS)))


@pytest.mark.parametrize("rate", [2.0, 8.0])
@pytest.mark.parametrize("label", DEFECT_LABELS)
def test_only_the_asked_class_occurs(label: str, rate: float) -> None:
    spec = dataclasses.replace(SMALL, defect_rate=rate, defect_classes=(label,))
    line = VirtualLine(spec)
    found = [int(c) for index in range(0, 360, 45) for c in line.truth(index).class_id]
    assert set(found) == {DEFECT_LABELS.index(label)}


def test_boards_and_defects_move_with_the_belt() -> None:
    line = VirtualLine(LineSpec(defect_rate=4.0, fps=30.0, belt_speed_px_s=240.0))
    early, late = line.truth(20), line.truth(35)
    shared = sorted(set(early.board_id.tolist()) & set(late.board_id.tolist()))
    assert shared
    for board_id in shared:
        before = early.boards[early.board_id == board_id]
        after = late.boards[late.board_id == board_id]
        assert np.allclose(before - after, [120.0, 0.0, 120.0, 0.0], atol=1e-3)
    inside = early.xyxy[(early.xyxy[:, 0] > 125) & (early.xyxy[:, 2] < 1280)]
    moved = inside - np.array([120.0, 0.0, 120.0, 0.0], dtype=np.float32)
    assert len(inside) > 0
    assert all(np.isclose(late.xyxy, box, atol=1e-2).all(axis=1).any() for box in moved)


def test_pixels_move_with_the_belt() -> None:
    spec = dataclasses.replace(QUIET, belt_speed_px_s=240.0)
    line = VirtualLine(spec)
    first, second = (line.render(i)[300:420].astype(np.int16) for i in (40, 42))
    still = np.abs(first - second).mean()
    followed = np.abs(first[:, 16:] - second[:, :-16]).mean()
    assert followed < still / 4


def test_a_stopped_belt_without_noise_and_drift_stands_still() -> None:
    line = VirtualLine(dataclasses.replace(QUIET, belt_speed_px_s=0.0))
    assert np.array_equal(line.render(0), line.render(500))


def test_noise_changes_every_frame_and_has_the_strength_asked_for() -> None:
    spec = dataclasses.replace(QUIET, belt_speed_px_s=0.0, noise=4.0)
    line = VirtualLine(spec)
    a, b = (line.render(i).astype(np.float32) for i in (3, 4))
    assert 2.5 < float((a - b).std() / np.sqrt(2)) < 6.0


def test_lighting_drifts_within_its_bounds() -> None:
    spec = dataclasses.replace(SMALL, belt_speed_px_s=0.0, lighting_drift=0.2, noise=0.0)
    line = VirtualLine(spec)
    levels = np.array([line.render(i).mean() for i in range(0, 1800, 120)])
    assert 1.1 < levels.max() / levels.min() < 1.2 / 0.8


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width_px", 10),
        ("fps", 0.0),
        ("defect_rate", -1.0),
        ("noise", -0.1),
        ("board_pitch_px", 300.0),
        ("tilt_deg", 45.0),
        ("defect_classes", ("scratch",)),
        ("defect_classes", ()),
    ],
)
def test_a_wrong_spec_names_its_field(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=field) as caught:
        LineSpec(**{field: value})  # type: ignore[arg-type] # wrong on purpose
    assert set(caught.value.fields) == {field}


def test_a_frame_before_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="first frame is 0"):
        VirtualLine(SMALL).truth(-1)


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="is needed"):
        VirtualLine(SMALL).render(0, np.zeros((10, 10, 3), dtype=np.uint8))


@pytest.mark.slow
def test_sixty_frames_a_second_on_one_core() -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        line, out = VirtualLine(LineSpec()), np.empty((720, 1280, 3), dtype=np.uint8)
        line.render(0, out)
        start = time.process_time()
        for index in range(1, 361):
            line.render(index, out)
        assert (time.process_time() - start) / 360 < 1 / 60
    finally:
        cv2.setNumThreads(threads)


def test_a_closed_line_lets_its_pictures_go_without_the_garbage_collector() -> None:
    source = PatternSource(PatternCamera(fps=1000, defect_rate=4))
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        source.open()
        source.grab()
        source.retrieve()
        painted_bytes, _ = tracemalloc.get_traced_memory()
        source.close()
        left_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert painted_bytes > 10e6
    assert left_bytes < 1e6
