"""Regions and tiles in front of real models: boxes in pixels of the frame, however it was cut."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.inference.graphs import color_classifier, saved

from visionedge.entities import Classification, Detections, Image
from visionedge.errors import SettingsError
from visionedge.inference.image import read_image
from visionedge.inference.model import load_model
from visionedge.inference.runner import Runner
from visionedge.inference.tiles import Tiling
from visionedge.inference.view import WHOLE, View, view_of
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.overlap import iou
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import ModelSettings, resolve
from visionedge.settings.cameras import TileSettings

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
SETTINGS = ModelSettings(path="unused")
SURE = 0.6


def board(number: int) -> Image:
    image = read_image(BUNDLE / "golden" / f"board-{number}.jpg")
    assert image is not None
    return image


def detected(runner: Runner, image: Image, view: View = WHOLE) -> Detections:
    found = runner.infer(image, view)
    assert isinstance(found, Detections)
    return found


@pytest.fixture(scope="module")
def runner() -> Runner:
    return load_model(BUNDLE, SETTINGS).runner()


def test_small_defects_of_a_seven_megapixel_frame_are_found_once_by_tiles(
    runner: Runner,
) -> None:
    # Four boards side by side and four below them, and the tiles begin where no board does.
    rows = [np.hstack([board(1 + row * 4 + n) for n in range(4)]) for row in range(2)]
    image = np.vstack(rows)
    assert image.shape[0] * image.shape[1] > 7e6
    expected, classes = [], []
    for number in range(8):
        alone = detected(runner, board(number + 1))
        offset = np.array([number % 4 * 1280, number // 4 * 720] * 2, np.float32)
        expected += [box + offset for box in alone.xyxy[alone.confidence >= SURE]]
        classes += list(alone.class_id[alone.confidence >= SURE])
    view = View(tiling=Tiling(1280, 720, 0.3))
    found = detected(runner, image, view)
    overlap = iou(np.array(expected, np.float32), found.xyxy) > 0.5
    # One defect may bear two names; once is meant of each.
    overlap &= np.equal.outer(np.array(classes), found.class_id)
    # A seam shifts the pixels that a model sees, so a box at the edge of sureness may go.
    assert overlap.any(axis=1).mean() >= 0.9
    assert overlap.sum(axis=1).max() <= 1
    whole = detected(runner, image)
    assert len(whole.xyxy[whole.confidence >= SURE]) < len(expected) / 4


def test_a_region_is_looked_at_larger_and_boxes_come_in_pixels_of_the_frame(
    runner: Runner,
) -> None:
    image = np.hstack([board(1), board(2)])
    alone = detected(runner, board(2))
    found = detected(runner, image, View(region=((0.5, 0), (1, 0), (1, 1), (0.5, 1))))
    assert found.xyxy == pytest.approx(alone.xyxy + np.array([1280, 0, 1280, 0]), abs=0.01)
    assert found.confidence == pytest.approx(alone.confidence)


def test_boxes_outside_the_polygon_are_dropped(runner: Runner) -> None:
    everything = detected(runner, board(1))
    triangle = ((0, 0), (1, 0), (0, 1))
    found = detected(runner, board(1), View(region=triangle))
    centres = (everything.xyxy[:, :2] + everything.xyxy[:, 2:]) / 2 / np.array([1280, 720])
    inside = centres.sum(axis=1) < 1
    assert 0 < inside.sum() < len(everything)
    assert found.xyxy.tolist() == everything.xyxy[inside].tolist()


def test_a_classifier_judges_its_region(tmp_path: Path) -> None:
    graph = color_classifier(np.array([[9, 0, -9], [-9, 0, 9]], np.float32))
    model = load_model(saved(graph, tmp_path / "m.onnx"), SETTINGS, {"input": {"color": "rgb"}})
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :40, 2], image[:, 40:, 0] = 250, 250
    for region, best in ((((0, 0), (0.5, 0), (0.5, 1)), 0), (((0.5, 0), (1, 0), (1, 1)), 1)):
        found = model.runner().infer(image, View(region=region))
        assert isinstance(found, Classification)
        assert found.top(1)[0][0] == best


def brightness_detector(path: Path) -> Path:
    """One box in the middle, as sure as the picture is bright; any number of pictures a run."""
    box = np.zeros((1, 5, 84), np.float32)
    box[0, :4, 3] = [32, 32, 16, 8]
    score = np.zeros((1, 5, 84), np.float32)
    score[0, 4, 3] = 1
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
            helper.make_node("Squeeze", ["mean", "last"], ["bright"]),
            helper.make_node("Mul", ["bright", "score"], ["scored"]),
            helper.make_node("Add", ["scored", "box"], ["output0"]),
        ],
        "batches",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", 5, 84])],
        [
            numpy_helper.from_array(box, "box"),
            numpy_helper.from_array(score, "score"),
            numpy_helper.from_array(np.array([3], np.int64), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def test_tiles_in_one_run_say_what_they_say_one_by_one(tmp_path: Path) -> None:
    model = load_model(brightness_detector(tmp_path / "m.onnx"), SETTINGS, {"head": "yolo_v8"})
    steps = np.linspace(80, 250, 256).astype(np.uint8)
    image = np.ascontiguousarray(np.broadcast_to(steps[:, None, None], (256, 256, 3)))
    one = detected(model.runner(), image, View(tiling=Tiling(64, 64, 0)))
    many = detected(model.runner(), image, View(tiling=Tiling(64, 64, 0, batch=5)))
    assert len(one) == 16
    assert len(set(one.confidence.round(3).tolist())) == 4
    assert many.xyxy.tolist() == one.xyxy.tolist()
    assert many.confidence == pytest.approx(one.confidence, abs=1e-6)


def test_a_tile_of_size_0_is_that_of_the_models_input(tmp_path: Path) -> None:
    model = load_model(brightness_detector(tmp_path / "m.onnx"), SETTINGS, {"head": "yolo_v8"})
    image = np.full((128, 128, 3), 200, np.uint8)
    # No size of the input is fixed but by the graph: 64.
    found = detected(model.runner(), image, view_of(None, TileSettings(overlap=0)))
    assert len(found) == 4


def lineup(tmp_path: Path, model: Path, **camera: object) -> None:
    document = {
        "models": {"default": {"path": str(model)}},
        "cameras": {"line": {"kind": "pattern", **camera}},
        "spool": {"path": str(tmp_path / "spool.db")},
    }
    made = Lineup(LatestSlots(), Metrics(), lambda *_: None, lambda _, s: [Path(s.path)])
    prepared = made.prepare(resolve([document]), 1)
    assert prepared.wiring.views["line"].tiling == Tiling(1280, 720, 0.2)


def test_the_settings_of_a_camera_become_its_view(tmp_path: Path) -> None:
    lineup(tmp_path, BUNDLE, tiles={"width_px": 1280, "height_px": 720})


def test_tiles_of_a_classifier_are_refused_by_field(tmp_path: Path) -> None:
    model = saved(color_classifier(np.eye(3, dtype=np.float32)), tmp_path / "m.onnx")
    with pytest.raises(SettingsError) as caught:
        lineup(tmp_path, model, tiles={})
    assert "cameras.line.tiles" in caught.value.fields
