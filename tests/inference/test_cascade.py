"""A detector and the classifier of its boxes: one prediction, bounded, counted, refused if unfit.

The graphs are small ones whose answers are known: a detector that says the same boxes to every
picture, and a classifier that judges by the mean colour of what it is shown.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.entities import Detections, Image
from visionedge.errors import SettingsError
from visionedge.inference.cascade import Rules
from visionedge.inference.model import LoadedModel, Second, load_model
from visionedge.inference.tiles import Tiling
from visionedge.inference.view import View
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import Document, ModelSettings, resolve

SETTINGS = ModelSettings(path="unused", floor=0.1)
COLOURS = np.array([[8, 0, 0], [0, 8, 0], [0, 0, 8]], np.float32)
NAMES = ("red", "green", "blue")
BGR = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0), "grey": (128, 128, 128)}
FRAME_PX = 64
TABLE = np.array(
    [
        # left, top, right, bottom, confidence, class: the rows of an end-to-end export.
        [0, 0, 16, 16, 0.9, 0],
        [32, 0, 48, 16, 0.8, 0],
        [0, 32, 16, 48, 0.7, 1],
        [32, 32, 48, 48, 0.6, 0],
    ],
    np.float32,
)


def detector(folder: Path, table: NDArray[np.float32] = TABLE) -> Path:
    path = saved(answers({"output0": table[None]}), folder / "detector.onnx")
    card = {"head": "yolo_end2end", "labels": ["part", "screw"], "temperature": 1}
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


def classifier(folder: Path, *, batch: int | str = 1, **card: Any) -> Path:  # noqa: ANN401 - JSON
    path = saved(
        color_classifier(COLOURS, input_shape=(batch, 3, 32, 32), batch=batch),
        folder / f"classifier-{batch}.onnx",
    )
    fields = {"head": "classifier", "labels": NAMES, "output": {"activation": "none"}}
    fields |= {"input": {"fit": "stretch", "mean": [], "std": []}}
    path.with_suffix(".json").write_text(json.dumps(fields | card))
    return path


def picture(corners: Mapping[tuple[int, int], str]) -> Image:
    """A grey frame with a square of 16 pixels of a colour at each corner (x, y)."""
    image = np.full((FRAME_PX, FRAME_PX, 3), 128, np.uint8)
    for (x, y), name in corners.items():
        image[y : y + 16, x : x + 16] = BGR[name]
    return image


SCENE = picture({(0, 0): "red", (32, 0): "green", (0, 32): "blue", (32, 32): "red"})


def cascade(first: Path, second: Path, rules: Rules) -> LoadedModel:
    model = load_model(first, SETTINGS)
    return model.with_second(Second(load_model(second, SETTINGS), rules))


def seen(model: LoadedModel, image: Image = SCENE, **view: Any) -> Detections:  # noqa: ANN401 - as View's
    found = model.runner().infer(image, View(**view)) if view else model.runner().infer(image)
    assert isinstance(found, Detections)
    return found


def by_place(found: Detections) -> dict[tuple[int, int], tuple[str, Any]]:
    return {
        (round(float(box[0])), round(float(box[1]))): (found.label(i), float(found.confidence[i]))
        for i, box in enumerate(found.xyxy)
    }


# Of a pure colour the logits are 8 times what it differs from the mean: (2/3, -1/3, -1/3) * 8.
SURE = float(np.exp(16 / 3) / (np.exp(16 / 3) + 2 * np.exp(-8 / 3)))


def test_each_box_has_the_label_of_the_classifier_and_the_product_of_both_confidences(
    tmp_path: Path,
) -> None:
    found = seen(cascade(detector(tmp_path), classifier(tmp_path), Rules(margin=0)))
    assert found.labels == (*NAMES, "part", "screw")
    assert by_place(found) == {
        (0, 0): ("red", pytest.approx(0.9 * SURE, abs=1e-4)),
        (32, 0): ("green", pytest.approx(0.8 * SURE, abs=1e-4)),
        (0, 32): ("blue", pytest.approx(0.7 * SURE, abs=1e-4)),
        (32, 32): ("red", pytest.approx(0.6 * SURE, abs=1e-4)),
    }


def test_both_factors_are_calibrated_by_their_own_cards(tmp_path: Path) -> None:
    second = classifier(tmp_path, temperature=2.0)
    found = by_place(seen(cascade(detector(tmp_path), second, Rules(margin=0))))
    softer = float(np.exp(8 / 3) / (np.exp(8 / 3) + 2 * np.exp(-4 / 3)))
    assert found[(0, 0)] == ("red", pytest.approx(0.9 * softer, abs=1e-4))


def test_boxes_come_with_the_surest_first_and_none_is_dropped_for_its_class(
    tmp_path: Path,
) -> None:
    # A grey box is one of three classes with a third each: surer before, weaker after.
    image = picture({(32, 0): "green", (0, 32): "blue", (32, 32): "red"})
    found = seen(cascade(detector(tmp_path), classifier(tmp_path), Rules(margin=0)), image)
    assert list(found.confidence) == sorted(found.confidence, reverse=True)
    assert len(found) == len(TABLE)
    assert by_place(found)[(0, 0)][1] == pytest.approx(0.9 / 3, abs=1e-3)


def test_the_margin_shows_what_is_around_a_box(tmp_path: Path) -> None:
    image = np.zeros((FRAME_PX, FRAME_PX, 3), np.uint8)
    image[:] = BGR["blue"]
    image[36:44, 36:44] = BGR["red"]
    table = np.array([[36, 36, 44, 44, 0.9, 0]], np.float32)
    first, second = detector(tmp_path, table), classifier(tmp_path)
    assert by_place(seen(cascade(first, second, Rules(margin=0)), image))[(36, 36)][0] == "red"
    assert by_place(seen(cascade(first, second, Rules(margin=1)), image))[(36, 36)][0] == "blue"


def test_boxes_beyond_the_bound_keep_what_the_detector_said_and_are_counted(
    tmp_path: Path,
) -> None:
    model = cascade(detector(tmp_path), classifier(tmp_path), Rules(margin=0, most=2))
    runner = model.runner()
    found = runner.infer(SCENE)
    assert isinstance(found, Detections)
    assert runner.skipped == 2
    assert by_place(found)[(0, 32)] == ("screw", pytest.approx(0.7, abs=1e-4))
    assert by_place(found)[(32, 32)] == ("part", pytest.approx(0.6, abs=1e-4))
    assert by_place(found)[(0, 0)][0] == "red"
    assert runner.timings.cascade_s > 0


def test_only_the_named_labels_are_looked_at(tmp_path: Path) -> None:
    rules = Rules(only=frozenset({"screw"}), margin=0)
    runner = cascade(detector(tmp_path), classifier(tmp_path), rules).runner()
    found = runner.infer(SCENE)
    assert isinstance(found, Detections)
    assert [label for label, _ in by_place(found).values()] == ["part", "part", "blue", "part"]
    assert runner.skipped == 0


def test_a_label_of_both_models_is_one_class(tmp_path: Path) -> None:
    second = classifier(tmp_path, labels=["part", "green", "blue"])
    found = seen(cascade(detector(tmp_path), second, Rules(margin=0)))
    assert found.labels == ("part", "green", "blue", "screw")


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_free_batch_says_what_single_runs_say(tmp_path: Path, batch: int) -> None:
    first = detector(tmp_path)
    alone = seen(cascade(first, classifier(tmp_path), Rules(margin=0)))
    together = seen(cascade(first, classifier(tmp_path, batch="n"), Rules(margin=0, batch=batch)))
    assert together.labels == alone.labels
    assert by_place(together) == {
        place: (label, pytest.approx(sure, abs=1e-5))
        for place, (label, sure) in by_place(alone).items()
    }


def test_boxes_at_the_border_of_the_frame_and_thinner_than_a_pixel_are_looked_at(
    tmp_path: Path,
) -> None:
    table = np.array(
        [[0, 0, 0.3, 0.3, 0.9, 0], [63.8, 63.8, 64, 64, 0.8, 0], [10, 63.9, 60, 64, 0.7, 0]],
        np.float32,
    )
    found = seen(cascade(detector(tmp_path, table), classifier(tmp_path), Rules(margin=0)))
    assert len(found) == 3


def test_nothing_found_is_nothing_to_look_at(tmp_path: Path) -> None:
    runner = cascade(detector(tmp_path, TABLE * 0), classifier(tmp_path), Rules()).runner()
    found = runner.infer(SCENE)
    assert len(found) == 0
    assert (runner.timings.cascade_s, runner.skipped) == (0, 0)


def test_a_frame_without_boxes_does_not_repeat_the_count_of_the_one_before(
    tmp_path: Path,
) -> None:
    model = cascade(detector(tmp_path), classifier(tmp_path), Rules(margin=0, most=1))
    runner = model.runner()
    runner.infer(SCENE)
    assert runner.skipped == 3
    # An angle along two borders, in which no box has its centre.
    angle = ((0, 0), (1, 0), (1, 1), (0.95, 1), (0.95, 0.05), (0, 0.05))
    assert len(runner.infer(SCENE, View(region=angle))) == 0
    assert runner.skipped == 0


def test_tiles_are_put_together_before_the_boxes_are_looked_at(tmp_path: Path) -> None:
    wide = np.hstack([SCENE, SCENE])
    model = cascade(detector(tmp_path), classifier(tmp_path), Rules(margin=0))
    found = by_place(seen(model, wide, tiling=Tiling(FRAME_PX, FRAME_PX, 0)))
    assert found[(64, 0)][0] == "red"
    assert found[(96, 0)][0] == "green"
    assert len(found) == 2 * len(TABLE)


def settings_of(folder: Path, models: Document) -> Document:
    return {
        "cameras": {"line": {"kind": "pattern", "model": "finder"}},
        "models": models,
        "spool": {"path": str(folder / "spool.db")},
    }


def lineup() -> Lineup:
    return Lineup(LatestSlots(), Metrics(), lambda *_: None)


def refused(folder: Path, models: Document) -> Mapping[str, str]:
    with pytest.raises(SettingsError) as caught:
        lineup().prepare(resolve([settings_of(folder, models)]), 1)
    return caught.value.fields


def then(**fields: Any) -> Document:  # noqa: ANN401 - settings are JSON
    return {"then": {"model": "sorter", **fields}}


def test_settings_make_a_cascade_and_a_change_of_it_keeps_the_sessions(tmp_path: Path) -> None:
    first, second = {"path": str(detector(tmp_path))}, {"path": str(classifier(tmp_path))}
    ours = lineup()
    wirings = []
    for rule in (then(), then(margin=0.5), {}):
        document = settings_of(tmp_path, {"finder": first | rule, "sorter": second})
        prepared = ours.prepare(resolve([document]), 1)
        ours.swap(prepared)
        ours.stop(2)
        wirings.append(prepared.wiring.models["line"])
    one, other, alone = wirings
    assert one.second is not None
    assert other.second is not None
    assert alone.second is None
    assert other.second.rules.margin == 0.5
    assert one.session is other.session is alone.session
    assert one.second.model is other.second.model


def test_settings_that_did_not_change_keep_the_very_model(tmp_path: Path) -> None:
    models = {
        "finder": {"path": str(detector(tmp_path))} | then(),
        "sorter": {"path": str(classifier(tmp_path))},
    }
    settings, ours = resolve([settings_of(tmp_path, models)]), lineup()
    first = ours.prepare(settings, 1)
    ours.swap(first)
    ours.stop(2)
    assert ours.prepare(settings, 2).wiring.models["line"] is first.wiring.models["line"]


def test_a_detector_cannot_be_second(tmp_path: Path) -> None:
    path = str(detector(tmp_path))
    fields = refused(tmp_path, {"finder": {"path": path} | then(), "sorter": {"path": path}})
    assert "is a detector" in fields["models.finder.then.model"]


def test_a_classifier_cannot_be_first(tmp_path: Path) -> None:
    path = str(classifier(tmp_path))
    fields = refused(tmp_path, {"finder": {"path": path} | then(), "sorter": {"path": path}})
    assert "only a detector gives boxes" in fields["models.finder.then.model"]


def test_a_label_that_the_detector_does_not_have_is_refused(tmp_path: Path) -> None:
    first = {"path": str(detector(tmp_path))} | then(labels=["part", "nut"])
    fields = refused(tmp_path, {"finder": first, "sorter": {"path": str(classifier(tmp_path))}})
    assert "no label nut" in fields["models.finder.then.labels"]


def test_a_classifier_without_names_is_refused(tmp_path: Path) -> None:
    second = {"path": str(classifier(tmp_path, labels=[]))}
    first = {"path": str(detector(tmp_path))} | then()
    fields = refused(tmp_path, {"finder": first, "sorter": second})
    assert "has no labels" in fields["models.finder.then.model"]


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        ({"finder": {"path": "x", "then": {"model": "sorter"}}}, "there is no model `sorter`"),
        ({"finder": {"path": "x", "then": {"model": "finder"}}}, "for ever"),
        (
            {
                "finder": {"path": "x", "then": {"model": "sorter"}},
                "sorter": {"path": "x", "then": {"model": "finder"}},
            },
            "for ever",
        ),
        (
            {
                "finder": {"path": "x", "then": {"model": "sorter"}},
                "sorter": {"path": "x", "then": {"model": "third"}},
                "third": {"path": "x"},
            },
            "a cascade has two models",
        ),
    ],
)
def test_a_cascade_that_does_not_end_in_a_second_model_is_refused(
    tmp_path: Path, models: Document, reason: str
) -> None:
    assert reason in refused(tmp_path, models)["models.finder.then.model"]
