import gc
import hashlib
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.entities import Classification, Detections, Image
from visionedge.errors import ModelCardError, ModelError, ModelLoadError, ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.image import InputWriter
from visionedge.inference.model import Borrowed, load_model
from visionedge.settings import ModelSettings

SETTINGS = ModelSettings(path="unused", floor=0.3)
FRAME = np.random.default_rng(5).integers(0, 256, (96, 128, 3), dtype=np.uint8)
WEIGHTS = np.array([[0.3, 0, -0.3], [-0.3, 0, 0.3]], np.float32)


def detector() -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    out = np.zeros((1, 6, 84))
    out[0, :, 3] = [32, 32, 16, 8, 0.9, 0.1]
    out[0, :, 30] = [10, 32, 8, 8, 0.0, 0.4]
    return out


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bolts"
    model = saved(answers({"output0": detector()}), folder / "model.onnx")
    card = {
        "name": "bolts",
        "version": "3",
        "head": "yolo_v8",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    }
    (folder / "model.json").write_text(json.dumps(card))
    (folder / "labels.txt").write_text("bolt\nnut\n")
    return folder


def rewrite(bundle: Path, **fields: Any) -> None:  # noqa: ANN401 - any field of a card
    card = json.loads((bundle / "model.json").read_text())
    (bundle / "model.json").write_text(json.dumps({**card, **fields}))


def test_a_bundle_is_loaded_and_sees(bundle: Path) -> None:
    model = load_model(bundle, SETTINGS)
    assert (model.card.name, model.card.version, model.card.labels) == (
        "bolts",
        "3",
        ("bolt", "nut"),
    )
    found = model.runner().infer(FRAME)
    assert isinstance(found, Detections)
    # 128 x 96 is 64 x 48 in the input, with 8 above and below.
    assert found.xyxy.tolist() == [[48, 40, 80, 56], [12, 40, 28, 56]]
    assert [found.label(i) for i in range(2)] == ["bolt", "nut"]


def test_a_bundle_can_be_named_by_its_model_too(bundle: Path) -> None:
    assert load_model(bundle / "model.onnx", SETTINGS).card.version == "3"


def test_a_bare_model_has_the_card_of_its_own_name(tmp_path: Path) -> None:
    path = saved(answers({"output0": detector()}), tmp_path / "best.onnx")
    (tmp_path / "model.json").write_text('{"name": "of another model", "head": "yolox"}')
    assert load_model(path, SETTINGS).card.name == "best"
    (tmp_path / "best.json").write_text('{"name": "mine", "head": "yolo_v8"}')
    assert load_model(path, SETTINGS).card.name == "mine"


def test_a_folder_with_one_model_of_any_name_is_a_bundle(tmp_path: Path) -> None:
    saved(answers({"output0": detector()}), tmp_path / "export.onnx")
    assert load_model(tmp_path, SETTINGS).card.head == "yolo_v8"
    saved(answers({"output0": detector()}), tmp_path / "other.onnx")
    with pytest.raises(ModelLoadError, match="2 ONNX files"):
        load_model(tmp_path, SETTINGS)


def test_no_model_is_an_error_that_says_what_can_be_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="no ONNX file"):
        load_model(tmp_path, SETTINGS)
    with pytest.raises(ModelLoadError, match="there is no model at"):
        load_model(tmp_path / "missing", SETTINGS)


def test_a_model_that_is_not_the_cards_is_refused(bundle: Path) -> None:
    rewrite(bundle, sha256="0" * 64)
    with pytest.raises(ModelCardError, match="sha256"):
        load_model(bundle, SETTINGS)


def test_the_hash_is_known_even_where_no_card_says_it(bundle: Path) -> None:
    wanted = hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
    (bundle / "model.json").unlink()
    assert load_model(bundle, SETTINGS).card.sha256 == wanted


def test_labels_that_are_too_few_are_found_at_load(bundle: Path) -> None:
    (bundle / "labels.txt").write_text("bolt")
    with pytest.raises(ModelCardError, match=r"model\.onnx: 1 labels for a model with 2 classes"):
        load_model(bundle, SETTINGS)


def test_a_wrong_card_is_named_with_its_field(bundle: Path) -> None:
    rewrite(bundle, input={"fit": "squeeze"})
    with pytest.raises(ModelCardError, match=r"model\.json: input\.fit"):
        load_model(bundle, SETTINGS)


@pytest.mark.parametrize("field", ["input", "output", "labels", "name", "head", "sha256"])
@pytest.mark.parametrize("value", [5, "text", [1], {"a": {"b": 1}}, None])
def test_a_card_with_any_nonsense_is_a_model_error(bundle: Path, field: str, value: object) -> None:
    rewrite(bundle, **{field: value})
    if (field, value) == ("name", "text"):
        assert load_model(bundle, SETTINGS).card.name == "text"
        return
    with pytest.raises(ModelError, match=field):
        load_model(bundle, SETTINGS)


def test_hints_win_over_the_bundle(bundle: Path) -> None:
    hints = {"labels": ["a", "b"], "input": {"color": "bgr"}, "version": None}
    card = load_model(bundle, SETTINGS, hints).card
    assert (card.labels, card.input.color, card.version) == (("a", "b"), "bgr", "")
    assert card.input.fit == "letterbox"


def test_the_settings_decide_what_is_kept(bundle: Path) -> None:
    model = load_model(bundle, SETTINGS.model_copy(update={"floor": 0.5}))
    assert len(model.runner().infer(FRAME)) == 1
    assert len(model.runner(Limits(0.3, 0.5, 300)).infer(FRAME)) == 2
    assert len(model.runner(Limits(0.95, 0.5, 300)).infer(FRAME)) == 0


def test_a_model_that_says_nan_is_refused_at_load(tmp_path: Path) -> None:
    path = saved(answers({"output0": np.full((1, 6, 84), np.nan)}), tmp_path / "model.onnx")
    with pytest.raises(ModelRunError):
        load_model(path, SETTINGS)


def test_a_model_that_takes_any_size_is_run_at_that_of_its_card(tmp_path: Path) -> None:
    made = color_classifier(WEIGHTS, input_shape=("n", 3, "h", "w"))
    saved(made, tmp_path / "model.onnx")
    (tmp_path / "model.json").write_text('{"input": {"width_px": 48, "height_px": 32}}')
    model = load_model(tmp_path, SETTINGS)
    assert (model.card.input.width_px, model.card.input.height_px) == (48, 32)
    assert isinstance(model.runner().infer(FRAME), Classification)


def test_the_stages_are_timed(bundle: Path) -> None:
    runner = load_model(bundle, SETTINGS).runner()
    assert runner.timings.run_s == 0
    runner.infer(FRAME)
    times = runner.timings
    assert min(times.preprocess_s, times.run_s, times.decode_s) > 0
    assert times.preprocess_s + times.run_s + times.decode_s < 5


def test_workers_with_runners_of_their_own_agree(tmp_path: Path) -> None:
    saved(color_classifier(WEIGHTS), tmp_path / "model.onnx")
    model = load_model(tmp_path, SETTINGS)
    random = np.random.default_rng(1)
    frames = [random.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(40)]
    alone = model.runner()
    wanted = [alone.infer(frame).confidence for frame in frames]
    local = threading.local()

    def infer(index: int) -> bool:
        if not hasattr(local, "runner"):
            local.runner = model.runner()
        found = local.runner.infer(frames[index])
        return bool(np.array_equal(found.confidence, wanted[index]))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(infer, [*range(40)] * 5))


def test_a_model_goes_with_the_runners_that_were_given_back(bundle: Path) -> None:
    model = load_model(bundle, SETTINGS)
    with Borrowed() as runner_of:
        runner_of(model).infer(FRAME)
    gone = weakref.ref(model.session)
    del model
    gc.collect()
    assert gone() is None


def test_a_runner_is_borrowed_once_a_frame_and_used_again_by_the_next(bundle: Path) -> None:
    model = load_model(bundle, SETTINGS)
    with Borrowed() as runner_of:
        first = runner_of(model)
        assert runner_of(model) is first
    with Borrowed() as runner_of:
        assert runner_of(model) is first


def test_who_looks_at_the_same_moment_has_a_runner_of_its_own(bundle: Path) -> None:
    model = load_model(bundle, SETTINGS)
    with Borrowed() as one, Borrowed() as other:
        assert one(model) is not other(model)


def test_a_runner_is_given_back_by_who_failed(bundle: Path) -> None:
    model = load_model(bundle, SETTINGS)
    used: list[object] = []

    def fail() -> None:
        with Borrowed() as runner_of:
            used.append(runner_of(model))
            runner_of(model).infer(np.zeros((0, 0, 3), np.uint8))

    with pytest.raises(ModelRunError):
        fail()
    assert model.runner() is used[0]


def test_a_runner_that_crashed_half_way_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(color_classifier(WEIGHTS), tmp_path / "model.onnx")
    model = load_model(tmp_path, SETTINGS)

    def infer(image: Image) -> list[float]:
        with Borrowed() as runner_of:
            return list(runner_of(model).infer(image).confidence)

    def crash(*_: object) -> object:
        raise MemoryError

    red, blue = np.zeros((2, 96, 128, 3), np.uint8)
    red[..., 2], blue[..., 0] = 255, 255
    seen = infer(red), infer(blue)
    with monkeypatch.context() as once:
        once.setattr(InputWriter, "_plan", crash)
        with pytest.raises(MemoryError):
            infer(np.zeros((40, 60, 3), np.uint8))
    assert (infer(red), infer(blue)) == seen
    assert seen[0] != seen[1]


def test_a_writer_that_crashed_half_way_lays_out_anew(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(bundle, SETTINGS)
    writer = InputWriter(model.card.input, model.session.signature.picture)
    writer.write(FRAME)
    before = writer.tensor.copy()

    def crash(*_: object) -> object:
        raise MemoryError

    with monkeypatch.context() as once:
        once.setattr(InputWriter, "_plan", crash)
        with pytest.raises(MemoryError):
            writer.write(np.zeros((40, 60, 3), np.uint8))
    writer.write(FRAME)
    np.testing.assert_array_equal(writer.tensor, before)


def test_a_frame_that_is_no_picture_leaves_the_runner_usable(bundle: Path) -> None:
    runner = load_model(bundle, SETTINGS).runner()
    with pytest.raises(ModelRunError):
        runner.infer(np.zeros((3, 4), np.uint8))
    assert len(runner.infer(FRAME)) == 2
