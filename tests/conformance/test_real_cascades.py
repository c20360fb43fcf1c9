"""A real detector and real classifiers of its boxes: what either says alone, put together."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from visionedge.entities import Classification, Detections, Image
from visionedge.inference.cascade import Rules
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel, Second, load_model
from visionedge.overlap import iou
from visionedge.settings import ModelSettings

ROOT: Final = Path(__file__).parents[2] / ".." / "shared" / "conformance"
SETTINGS: Final = ModelSettings(path="unused", floor=0.4)

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="the conformance models are not beside the project"
)


@pytest.fixture(scope="module")
def finder() -> LoadedModel:
    return load_model(ROOT / "models/yolov8n_int8/model.onnx", SETTINGS)


def sorter(folder: Path, name: str) -> LoadedModel:
    """A classifier of the thousand classes of ImageNet, with its labels."""
    path = folder / f"{name}.onnx"
    shutil.copy(ROOT / "models" / name / "model.onnx", path)
    labels = (ROOT / "labels/imagenet_wml.txt").read_text().splitlines()
    path.with_suffix(".json").write_text(json.dumps({"labels": labels}))
    return load_model(path, SETTINGS)


def picture(name: str) -> Image:
    image = read_image(ROOT / "images" / name)
    assert image is not None
    return image


def seen(model: LoadedModel, image: Image) -> Detections:
    found = model.runner().infer(image)
    assert isinstance(found, Detections)
    return found


def test_old_custom_vision_tells_the_cat_and_the_dog_that_a_detector_found(
    finder: LoadedModel,
) -> None:
    second = load_model(ROOT / "models/cv_cls_cat_or_dog/model.onnx", SETTINGS)
    model = finder.with_second(Second(second, Rules(only=frozenset({"cat", "dog"}))))
    for name, label in (("coco_val/000000001675.jpg", "cat"), ("scene/dog.jpg", "dog")):
        image = picture(name)
        alone, found = seen(finder, image), seen(model, image)
        (one,) = [i for i in range(len(found)) if found.label(i) in second.card.labels]
        assert found.label(one) == label
        (before,) = [i for i in range(len(alone)) if alone.label(i) == label]
        assert found.xyxy[one].tolist() == alone.xyxy[before].tolist()
        assert 0.5 < found.confidence[one] / alone.confidence[before] <= 1
        others = {alone.label(i) for i in range(len(alone)) if i != before}
        assert {found.label(i) for i in range(len(found)) if i != one} == others


@pytest.mark.parametrize("name", ["squeezenet_fp16", "mobilenetv2_int8_dynamic"])
def test_each_box_has_what_the_classifier_says_of_its_crop_alone(
    finder: LoadedModel, tmp_path: Path, name: str
) -> None:
    second, image = sorter(tmp_path, name), picture("scene/dog.jpg")
    # One a run, because a network that is quantised dynamically takes its ranges from the batch.
    found = seen(finder.with_second(Second(second, Rules(margin=0, batch=1))), image)
    alone = seen(finder, image)
    assert len(found) == len(alone) >= 4
    for i, box in enumerate(found.xyxy):
        before = alone.confidence[int(iou(found.xyxy[i : i + 1], alone.xyxy).argmax())]
        (x1, y1), (x2, y2) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
        said: Any = second.runner().infer(image[y1:y2, x1:x2])
        assert isinstance(said, Classification)
        ((class_id, sure),) = said.top(1)
        assert found.label(i) == said.label(class_id)
        assert found.confidence[i] == pytest.approx(before * sure, abs=1e-5)


def test_a_batch_of_a_real_classifier_names_what_single_runs_name(
    finder: LoadedModel, tmp_path: Path
) -> None:
    second, image = sorter(tmp_path, "mobilenetv2_int8_dynamic"), picture("scene/dog.jpg")
    runner = second.runner()
    crops = [image[219:540, 131:308], image[137:420, 132:569], image[74:171, 467:693]]
    together, alone = runner.infer_each(crops, 8), runner.infer_each(crops, 1)
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Classification)
        assert isinstance(other, Classification)
        assert one.top(1)[0][0] == other.top(1)[0][0]
        assert one.confidence == pytest.approx(other.confidence, abs=0.15)
