import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.errors import ModelCardError
from visionedge.inference.golden import verify_golden
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.prediction_json import as_document
from visionedge.settings import ModelSettings

SETTINGS = ModelSettings(path="unused", floor=0.2)
WEIGHTS = np.array([[0.3, 0, -0.3], [-0.3, 0, 0.3]], np.float32)


def model_in(folder: Path, *, shift_px: float = 0.0, confidence: float = 0.9) -> LoadedModel:
    out = np.zeros((1, 6, 84))
    out[0, :, 3] = [32 + shift_px, 32, 16, 8, confidence, 0.1]
    out[0, :, 30] = [10, 32, 8, 8, 0.0, 0.32]
    saved(answers({"output0": out}), folder / "model.onnx")
    (folder / "model.json").write_text('{"head": "yolo_v8", "labels": ["bolt", "nut"]}')
    return load_model(folder, SETTINGS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with a golden frame, written by the model itself."""
    golden = tmp_path / "golden"
    golden.mkdir()
    frame = np.random.default_rng(5).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(golden / "one.png"), frame)
    seen = model_in(tmp_path).runner().infer(frame)
    write(tmp_path, {"frames": [as_document("one.png", seen)]})
    return tmp_path


def write(folder: Path, document: dict[str, Any]) -> None:
    (folder / "golden" / "expected.json").write_text(json.dumps(document))


def test_a_model_agrees_with_itself(folder: Path) -> None:
    assert verify_golden(model_in(folder)) == []


def test_a_bundle_without_golden_frames_has_nothing_to_disagree_with(tmp_path: Path) -> None:
    assert verify_golden(model_in(tmp_path)) == []


def test_a_box_elsewhere_is_missing_and_unexpected(folder: Path) -> None:
    faults = verify_golden(model_in(folder, shift_px=10))
    assert len(faults) == 2
    assert "one.png: bolt 0.90 at (48.0, 40.0, 80.0, 56.0) is missing" in faults[0]
    assert "bolt 0.90 was not expected" in faults[1]


def test_another_confidence_is_told_beyond_the_tolerance(folder: Path) -> None:
    assert verify_golden(model_in(folder, confidence=0.86)) == []
    assert verify_golden(model_in(folder, confidence=0.8)) == ["one.png: bolt 0.90 came with 0.80"]


def test_boxes_about_the_floor_may_come_and_go(folder: Path) -> None:
    document = json.loads((folder / "golden" / "expected.json").read_text())
    for floor, faults in ((0.3, 0), (0.2, 1)):
        frame = {**document["frames"][0], "detections": document["frames"][0]["detections"][:1]}
        write(folder, {"floor": floor, "frames": [frame]})
        assert len(verify_golden(model_in(folder))) == faults


def test_the_operators_settings_do_not_count(folder: Path) -> None:
    strict = load_model(folder, ModelSettings(path="unused", floor=0.99, max_detections=1))
    assert verify_golden(strict) == []


def test_the_tolerance_can_be_set(folder: Path) -> None:
    document = json.loads((folder / "golden" / "expected.json").read_text())
    write(folder, {**document, "tolerance": {"confidence": 0.2}})
    assert verify_golden(model_in(folder, confidence=0.75)) == []


def test_classes_are_compared_by_number(tmp_path: Path) -> None:
    saved(color_classifier(WEIGHTS), tmp_path / "model.onnx")
    (tmp_path / "model.json").write_text('{"labels": ["blue", "red"]}')
    (tmp_path / "golden").mkdir()
    blue = np.full((32, 32, 3), (200, 20, 20), np.uint8)
    cv2.imwrite(str(tmp_path / "golden" / "blue.png"), blue)
    model = load_model(tmp_path, SETTINGS)
    good = as_document("blue.png", model.runner().infer(blue))
    write(tmp_path, {"frames": [good]})
    assert verify_golden(model) == []
    turned = {**good, "classes": [{"class_id": 1, "label": "red", "confidence": 1.0}]}
    write(tmp_path, {"frames": [turned]})
    assert verify_golden(model) == ["blue.png: red 1.00 came with 0.00"]
    beyond = {**good, "classes": [{"class_id": 7, "confidence": 1.0}]}
    write(tmp_path, {"frames": [beyond]})
    assert verify_golden(model) == ["blue.png: 7 1.00 is none of the 2 classes"]
    boxes = {"image": "blue.png", "task": "detection", "detections": []}
    write(tmp_path, {"frames": [boxes]})
    assert verify_golden(model) == ["blue.png: classes were found, and boxes expected"]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"frames": []}, "frames"),
        ({"frames": [{"image": "../one.png", "task": "detection"}]}, "frames.0.image"),
        ({"frames": [{"image": "one.png", "task": "detection"}], "floor": 2}, "floor"),
        ({"frames": [{"image": "no.png", "task": "detection"}]}, "no.png"),
        ({"golden": "golden/2", "frames": []}, "golden"),
    ],
)
def test_a_wrong_golden_file_is_named(folder: Path, document: dict[str, Any], named: str) -> None:
    write(folder, document)
    with pytest.raises(ModelCardError) as caught:
        verify_golden(model_in(folder))
    assert named in str(caught.value)


def test_golden_frames_without_their_file_are_an_error(folder: Path) -> None:
    (folder / "golden" / "expected.json").unlink()
    with pytest.raises(ModelCardError, match=r"expected\.json"):
        verify_golden(model_in(folder))
