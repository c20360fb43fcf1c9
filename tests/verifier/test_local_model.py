"""The backend that needs no vendor: a model of ours, read by the module's own heads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
from tests.support.cloud import jpeg

from verifier.backends.local_model import LocalModel, _objects, load
from verifier.errors import BackendRefused, SettingsRefused
from verifier.jpeg_header import jpeg_size
from verifier.opinion import Opinion, Picture, Want
from visionedge.entities import Detections

ROOT: Final = Path(__file__).parents[2]
BUNDLE: Final = ROOT / "models/pcb-defects"
WANT: Final = frozenset({Want.OBJECTS})


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return load(str(BUNDLE), "here")


def golden() -> Picture:
    content = (BUNDLE / "golden/board-1.jpg").read_bytes()
    return Picture(content, "0" * 64, *jpeg_size(content))


def test_it_sees_what_the_module_sees_in_parts_of_the_picture(model: LocalModel) -> None:
    picture = golden()
    opinion = model.look(picture, WANT, 5)
    image = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    seen = model.model.runner().infer(image.astype(np.uint8))
    assert isinstance(seen, Detections)
    assert len(seen) == len(opinion.objects) > 0
    assert [seen.label(n) for n in range(len(seen))] == [one.name for one in opinion.objects]
    scale = np.array([picture.width, picture.height] * 2)
    boxes = np.array([one.box for one in opinion.objects]) * scale
    np.testing.assert_allclose(boxes, seen.xyxy, atol=0.01)
    assert opinion.units == 0


def test_a_box_beyond_the_border_is_cut_and_one_outside_has_no_area() -> None:
    boxes = np.array([[10, 10, 90, 30], [70, 10, 90, 30]], np.float32)
    found = Detections(boxes, np.ones(2, np.float32), np.zeros(2, np.int32), ("hole",))
    seen = _objects(found, Picture(b"", "0" * 64, 64, 48))
    assert seen[0].box == pytest.approx((10 / 64, 10 / 48, 1, 30 / 48))
    assert seen[1].box[0] == seen[1].box[2] == 1


def test_many_threads_ask_one_model(model: LocalModel) -> None:
    picture = golden()
    with ThreadPoolExecutor(4) as pool:
        opinions: list[Opinion] = list(pool.map(lambda _: model.look(picture, WANT, 5), range(8)))
    assert all(opinion == opinions[0] for opinion in opinions)


def test_a_picture_whose_pixels_are_broken_is_refused(model: LocalModel) -> None:
    with pytest.raises(BackendRefused, match="decoded"):
        model.look(Picture(jpeg()[:40], "0" * 64, 64, 48), WANT, 5)


def test_a_model_that_cannot_be_loaded_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match=r"backend\.model"):
        load(str(tmp_path / "absent.onnx"), "here")


def test_another_file_of_the_model_is_another_recipe(model: LocalModel) -> None:
    assert str(BUNDLE) in model.recipe
