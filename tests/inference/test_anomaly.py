"""A part that is odd, and where: what the golden folder does not show."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.graphs import answers, saved

from visionedge.entities import Classification
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.prediction_json import as_document
from visionedge.inference.view import View
from visionedge.settings import ModelSettings

FRAME = np.zeros((64, 64, 3), np.uint8)


def loaded(folder: Path, hints: dict[str, Any] | None = None, **outputs: Any) -> LoadedModel:  # noqa: ANN401 - arrays
    path = saved(answers(outputs), folder / "model.onnx")
    return load_model(path, ModelSettings(path="unused"), hints)


def heat(*hot: tuple[int, int, float], cold: float = 0.1) -> np.ndarray[Any, np.dtype[np.float32]]:
    out = np.full((1, 1, 16, 16), cold, np.float32)
    for row, column, value in hot:
        out[0, 0, row, column] = value
    return out


def judged(model: LoadedModel, view: View | None = None) -> Classification:
    runner = model.runner()
    found = runner.infer(FRAME, view) if view else runner.infer(FRAME)
    assert isinstance(found, Classification)
    return found


def test_a_map_alone_is_judged_by_its_hottest_cell(tmp_path: Path) -> None:
    found = judged(loaded(tmp_path, output=heat((2, 3, 0.7))))
    assert found.confidence == pytest.approx([0.3, 0.7])
    assert found.hot.tolist() == [[12, 8, 16, 12]]


def test_a_score_alone_shows_no_place(tmp_path: Path) -> None:
    found = judged(loaded(tmp_path, {"head": "anomaly"}, pred_score=np.array([0.8])))
    assert found.labels == ("normal", "anomalous")
    assert found.confidence == pytest.approx([0.2, 0.8])
    assert len(found.hot) == 0


def test_a_good_part_has_no_hot_place(tmp_path: Path) -> None:
    model = loaded(tmp_path, pred_score=np.array([0.2]), anomaly_map=heat((2, 3, 0.49)))
    assert len(judged(model).hot) == 0


def test_touching_cells_are_one_place_and_the_hottest_is_first(tmp_path: Path) -> None:
    spots = heat((0, 0, 0.6), (1, 1, 0.7), (10, 10, 0.9))
    model = loaded(tmp_path, pred_score=np.array([0.9]), anomaly_map=spots)
    assert judged(model).hot.tolist() == [[40, 40, 44, 44], [0, 0, 8, 8]]


def test_a_noisy_map_gives_ten_places_at_most(tmp_path: Path) -> None:
    noise = heat(cold=0)
    noise[0, 0, ::2, ::2] = 0.8
    model = loaded(tmp_path, pred_score=np.array([0.9]), anomaly_map=noise)
    assert len(judged(model).hot) == 10


def test_the_places_of_a_region_are_in_pixels_of_the_frame(tmp_path: Path) -> None:
    model = loaded(tmp_path, pred_score=np.array([0.9]), anomaly_map=heat((0, 0, 0.9)))
    right = View(region=((0.5, 0), (1, 0), (1, 1), (0.5, 1)))
    assert judged(model, right).hot.tolist() == [[32, 0, 34, 4]]


def test_json_names_the_places(tmp_path: Path) -> None:
    model = loaded(tmp_path, pred_score=np.array([0.9]), anomaly_map=heat((0, 0, 0.9)))
    document = as_document("part.png", judged(model))
    assert document["classes"][0]["label"] == "anomalous"
    assert document["hot_xyxy"] == [[0, 0, 4, 4]]


def test_a_score_that_is_no_probability_is_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(ModelRunError, match="levels"):
        loaded(tmp_path, pred_score=np.array([37.0]), anomaly_map=heat())


def test_a_model_of_another_kind_is_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(ModelCardError, match="pred_score"):
        loaded(tmp_path, {"head": "anomaly"}, scores=np.zeros((1, 7)))


def test_a_map_of_raw_distances_is_refused_with_the_card_to_write(tmp_path: Path) -> None:
    for name in ("output", "anomaly_map"):
        raw: dict[str, Any] = {name: heat((2, 3, 30.0))}
        with pytest.raises(ModelCardError, match="not normalised") as caught:
            loaded(tmp_path, **raw)
        assert '"levels": [LEAST, THRESHOLD, MOST]' in caught.value.hint


def test_raw_distances_are_read_by_the_levels_of_training(tmp_path: Path) -> None:
    # (30 - 20) / (50 - 10) + 1/2 of the hot cell; (2 - 20) / 40 + 1/2 of the others.
    hints = {"head": "anomaly", "output": {"levels": [10, 20, 50]}}
    found = judged(loaded(tmp_path, hints, output=heat((2, 3, 30.0), cold=2)))
    assert found.confidence == pytest.approx([0.25, 0.75])
    assert found.hot.tolist() == [[12, 8, 16, 12]]


def test_levels_hold_for_the_score_as_well(tmp_path: Path) -> None:
    hints = {"output": {"levels": [10, 20, 50]}, "head": "anomaly"}
    raw: dict[str, Any] = {"pred_score": np.array([12.0]), "anomaly_map": heat(cold=2)}
    assert judged(loaded(tmp_path, hints, **raw)).confidence == pytest.approx([0.7, 0.3])


@pytest.mark.parametrize("levels", [[1], [1, 2], [1, 1, 1], [2, 1, 3], [1, 3, 2]])
def test_levels_that_do_not_rise_are_refused(tmp_path: Path, levels: list[float]) -> None:
    with pytest.raises(ModelCardError, match=r"output\.levels"):
        loaded(tmp_path, {"head": "anomaly", "output": {"levels": levels}}, output=heat())
