"""Real models, nobody's of this project, against outputs of independent decoders.

Read in place from beside the project; skipped, saying so, where that folder is absent.
The scores are held to far less than its README allows, because the preprocessing is
meant to be theirs to the last bit; boxes are listed there to a tenth of a pixel.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pytest

from visionedge.entities import Classification, Detections, Image
from visionedge.errors import ModelLoadError
from visionedge.inference.boxes import iou
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel, load_model
from visionedge.settings import ModelSettings

ROOT: Final = Path(__file__).parents[2] / ".." / "shared" / "conformance"
SCORE: Final = 0.001
IOU: Final = 0.98
SMALL_PX: Final = 1.0
"""A pixel is much of a small box, and YOLOv5's script maps back by a padding that is not whole."""
DETECTORS: Final = {
    "yolov8n_int8": "yolo_v8",
    "yolo11n_int8_320": "yolo_v8",
    "yolox_nano": "yolox",
    "yolov5n_int8_320": "yolo_v5",
}
CLASSIFIERS: Final = {
    "squeezenet_fp16": 3,
    "mobilenetv2_int8_dynamic": 3,
}
NAMED: Final = ("cv_cls_cat_or_dog", "cv_cls_selfcheckout_multilabel")

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="the conformance models are not beside the project"
)


@cache
def loaded(model_id: str) -> LoadedModel:
    return load_model(ROOT / "models" / model_id / "model.onnx", ModelSettings(path="unused"))


def reference(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((ROOT / "reference" / f"{name}.json").read_text())


def picture(name: str) -> Image:
    image = read_image(ROOT / name)
    assert image is not None, name
    return image


def differences(
    expected: list[dict[str, Any]], found: Detections, threshold: float
) -> Iterator[str]:
    """One to one: each expected box has one of its own, and no other is above the threshold."""
    free = np.ones(len(found), np.bool_)
    for box in expected:
        wanted = np.array([box["box_xyxy"]], np.float32)
        overlap = np.where(
            free & (found.class_id == box["class_id"]), iou(wanted, found.xyxy)[0], 0
        )
        best = int(overlap.argmax())
        if overlap[best] < 0.5:
            yield f"{box} is missing"
            continue
        free[best] = False
        if abs(float(found.confidence[best]) - box["confidence"]) > SCORE:
            yield f"{box} came with {found.confidence[best]:.4f}"
        strays = np.abs(found.xyxy[best] - wanted[0]).max()
        if overlap[best] < IOU and strays > SMALL_PX:
            yield f"{box} came at {found.xyxy[best]}"
    for index in np.flatnonzero(free & (found.confidence >= threshold)):
        yield f"{found.label(int(index))} {found.confidence[index]:.3f} was not expected"


@pytest.mark.parametrize("model_id", DETECTORS)
def test_a_detector_gives_its_reference_with_no_card(model_id: str) -> None:
    expected = reference(model_id)
    model = loaded(model_id)
    assert model.card.head == DETECTORS[model_id]
    runner, faults = model.runner(), []
    for result in expected["results"]:
        found = runner.infer(picture(result["image"]))
        assert isinstance(found, Detections)
        several = differences(result["detections"], found, expected["score_threshold"] + SCORE)
        faults += [f"{result['image']}: {fault}" for fault in several]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("model_id", ["yolov8n_int8", "yolox_nano"])
def test_frames_of_a_video_give_their_reference(model_id: str) -> None:
    runner, faults = loaded(model_id).runner(), []
    for clip in reference("videos"):
        frames = {frame["frame_index"]: frame for frame in clip["frames"]}
        capture = cv2.VideoCapture(str(ROOT / clip["video"]))
        for index in range(max(frames) + 1):
            assert capture.grab(), f"{clip['video']} ends at {index}"
            if index in frames and model_id in frames[index]:
                _, image = capture.retrieve()
                found = runner.infer(np.asarray(image, np.uint8))
                assert isinstance(found, Detections)
                # The threshold of the list; what lies about it may come and go.
                several = differences(frames[index][model_id], found, 0.3 + SCORE)
                faults += [f"{clip['video']} frame {index}: {fault}" for fault in several]
        capture.release()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("model_id", NAMED)
def test_custom_vision_probabilities_are_the_references_by_name(model_id: str) -> None:
    runner = loaded(model_id).runner()
    for result in reference(model_id)["results"]:
        found = runner.infer(picture(result["image"]))
        assert isinstance(found, Classification)
        by_name = {found.label(i): float(c) for i, c in enumerate(found.confidence)}
        assert by_name == pytest.approx(result["probabilities"], abs=SCORE), result["image"]
        assert found.label(found.top(1)[0][0]) == result["classLabel"]


@pytest.mark.parametrize("model_id", CLASSIFIERS)
def test_a_classifier_gives_its_reference_with_no_card(model_id: str) -> None:
    runner = loaded(model_id).runner()
    for result in reference(model_id)["results"]:
        found = runner.infer(picture(result["image"]))
        assert isinstance(found, Classification)
        for wanted in result["top"]:
            confidence = float(found.confidence[wanted["class_id"]])
            assert confidence == pytest.approx(wanted["confidence"], abs=0.01), result["image"]
        assert found.top(1)[0][0] == result["top"][0]["class_id"]


def test_a_single_sigmoid_gives_its_reference_with_no_card() -> None:
    runner = loaded("mesonet_nhwc_sigmoid").runner()
    for result in reference("mesonet_nhwc_sigmoid")["results"]:
        found = runner.infer(picture(result["image"]))
        assert found.confidence == pytest.approx([result["sigmoid_output"]], abs=SCORE)


def test_multilabel_is_told_from_the_answers() -> None:
    assert loaded("cv_cls_selfcheckout_multilabel").card.output.multilabel
    assert not loaded("cv_cls_cat_or_dog").card.output.multilabel


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_no_model_here_is_refused_with_the_mend(number: int) -> None:
    rejected = reference("rejects")[number]
    with pytest.raises(ModelLoadError) as caught:
        load_model(ROOT / rejected["model_file"], ModelSettings(path="unused"))
    assert "model.onnx" in str(caught.value)
    mend = {"reject_cv_opset1": "opset 12", "reject_html_as_onnx": "raw file"}
    assert mend[rejected["model_id"]] in caught.value.hint
