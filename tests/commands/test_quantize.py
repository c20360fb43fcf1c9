"""INT8 bundles: made where they lose little, refused where they lose much."""

import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.inference.rewritable import as_inputs

from visionedge.__main__ import main
from visionedge.commands.quantize_graph import RECIPES, last_workers, name_nodes, stem, tail
from visionedge.inference.golden import verify_golden
from visionedge.inference.model import load_model
from visionedge.settings import ModelSettings

SETTINGS = ModelSettings(path="unused")
BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
SHARED = Path(__file__).parents[2] / ".." / "shared" / "conformance"
CARD = '{"head": "classifier", "labels": ["blue", "green", "red"], "name": "t", ' \
    '"input": {"color": "bgr", "scale": 0.00392156862745098, "fit": "stretch"}}'  # fmt: skip


def network(opset: int = 11, gain: float = 1.0) -> onnx.ModelProto:
    """Two convolutions that carry the colours through, their means, and a softmax."""
    rng = np.random.default_rng(3)
    first = np.zeros((16, 3, 3, 3), np.float32)
    for channel in range(3):
        first[channel, channel] = gain / 9
    first[3:] = rng.normal(0, 0.05, (13, 3, 3, 3))
    second = np.zeros((3, 16, 1, 1), np.float32)
    second[:, :3, 0, 0] = np.eye(3) * 6
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "first"], ["a"], pads=[1] * 4),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Conv", ["b", "second"], ["c"]),
            helper.make_node("ReduceMean", ["c"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Softmax", ["mean"], ["scores"], axis=1),
        ],
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)


def normalising(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with a normalisation, which changes nothing, behind the second convolution."""
    for name, value in (("scale", 1), ("shift", 0), ("middle", 0), ("spread", 1)):
        tensor = numpy_helper.from_array(np.full(3, value, np.float32), name)
        model.graph.initializer.append(tensor)
    names = ["c", "scale", "shift", "middle", "spread"]
    model.graph.node.insert(3, helper.make_node("BatchNormalization", names, ["d"]))
    model.graph.node[4].input[0] = "d"
    return model


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "colours"
    folder.mkdir()
    onnx.save(network(), folder / "model.onnx")
    (folder / "model.json").write_text(CARD)
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    for channel, name in enumerate(("blue", "green", "red")):
        folder = tmp_path / "set" / name
        folder.mkdir(parents=True)
        for number in range(8):
            picture = rng.integers(0, 120, (40, 40, 3)).astype(np.uint8)
            picture[..., channel] = rng.integers(180, 255, (40, 40))
            cv2.imwrite(str(folder / f"{number}.png"), picture)
    return tmp_path / "set"


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    folder = tmp_path / "dark"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 40, 3), number, np.uint8))
    return folder


def quantized(*arguments: str | Path) -> int:
    return main(["quantize", *map(str, arguments)])


def test_a_quantised_bundle_is_whole_and_says_nearly_the_same(
    bundle: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "int8"
    arguments = ("--calibration", dataset, "--dataset", dataset, "--to", to)
    assert quantized(bundle, *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line[:24].strip(): line[24:].split() for line in lines}
    assert table[""][0] == "accuracy"
    assert table["original"][0] == table["min-max"][0] == "1.000"
    # Two convolutions have no middle, so nothing but the tail is kept.
    wholly = {recipe.name for recipe in RECIPES if not (recipe.head or recipe.stem)}
    assert wholly <= table.keys()
    assert not ({recipe.name for recipe in RECIPES} - wholly) & table.keys()
    assert any(line.startswith("taken: ") for line in lines)
    model = load_model(to, SETTINGS)
    assert model.card.labels == ("blue", "green", "red")
    assert model.card.input == load_model(bundle, SETTINGS).card.input
    assert model.card.name == "int8"
    assert " of t " in model.card.origin
    assert verify_golden(model) == []
    assert model.session.header.opset >= 13
    kinds = {node.op_type for node in onnx.load(to / "model.onnx").graph.node}
    assert "QuantizeLinear" in kinds


def test_without_labels_the_original_is_what_it_is_held_to(
    bundle: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantized(bundle, "--calibration", dataset, "--to", tmp_path / "int8") == 0
    assert "against what the original is sure of" in capsys.readouterr().out


def test_what_comes_of_a_model_in_fewer_steps_is_a_model_of_its_own(
    bundle: Path, dataset: Path, tmp_path: Path
) -> None:
    """What cannot be folded into INT8 stays beside it, and takes more time than that spares."""
    onnx.save(as_inputs(normalising(network()), 6), bundle / "model.onnx")
    to = tmp_path / "int8"
    assert quantized(bundle, "--calibration", dataset, "--to", to) == 0
    assert load_model(bundle, SETTINGS).session.rewritten == "weights as inputs"
    assert not load_model(to, SETTINGS).session.rewritten
    kinds = {node.op_type for node in onnx.load(to / "model.onnx").graph.node}
    assert "QuantizeLinear" in kinds
    assert "BatchNormalization" not in kinds


def test_a_result_that_loses_too_much_is_not_written(
    bundle: Path, dataset: Path, dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Calibrated on darkness, every colour is beyond the range and looks the same.
    to = tmp_path / "int8"
    arguments = ("--calibration", dark, "--dataset", dataset, "--to", to)
    assert quantized(bundle, *arguments) == 3
    captured = capsys.readouterr()
    assert "INT8 loses" in captured.err
    assert "--max-loss" in captured.err
    assert "accuracy" in captured.out
    assert not to.exists()
    assert quantized(bundle, *arguments, "--max-loss", "1") == 0
    assert to.is_dir()


def test_what_follows_the_last_convolution_stays_as_it_is() -> None:
    graph = network().graph
    name_nodes(graph)
    assert sorted(tail(graph)) == ["ReduceMean-3", "Softmax-4"]


def test_the_last_convolutions_and_the_first_ones_can_be_kept() -> None:
    graph = network().graph
    name_nodes(graph)
    assert list(last_workers(graph, list(tail(graph)))) == ["Conv-2"]
    assert list(stem(graph)) == ["Conv-0"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_network_that_min_max_leaves_blind_is_quantised_by_another_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not SHARED.is_dir():
        pytest.skip("the conformance models are not beside the project")
    arguments = ("--calibration", SHARED / "images/coco_val", "--to", tmp_path / "int8")
    assert quantized(SHARED / "models/yolox_nano/model.onnx", *arguments, "--max-loss", "0.05") == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line[:24].strip(): line[24:].split() for line in lines}
    assert float(table["min-max"][0]) < 0.8
    assert float(table["percentile, both kept"][0]) > 0.95


@pytest.mark.slow
def test_scores_of_a_detector_survive_beside_its_boxes(tmp_path: Path) -> None:
    to = tmp_path / "int8"
    assert quantized(BUNDLE, "--calibration", BUNDLE / "golden", "--to", to) == 0
    assert load_model(to, SETTINGS).card.head == load_model(BUNDLE, SETTINGS).card.head


def test_what_is_quantised_already_is_refused(
    bundle: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantized(bundle, "--calibration", dataset, "--to", tmp_path / "one") == 0
    again = quantized(tmp_path / "one", "--calibration", dataset, "--to", tmp_path / "two")
    assert again == 2
    assert "is quantised already" in capsys.readouterr().err


def test_classes_by_other_names_are_told_by_an_option(
    bundle: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / "red").rename(dataset / "crimson")
    arguments = ("--calibration", dataset, "--to", tmp_path / "int8")
    assert quantized(bundle, *arguments, "--map", "crimson=red") == 2
    assert "name it with --dataset" in capsys.readouterr().err
    assert quantized(bundle, *arguments, "--dataset", dataset) == 2
    assert "--map THEIRS=OURS" in capsys.readouterr().err
    assert quantized(bundle, *arguments, "--dataset", dataset, "--map", "crimson=red") == 0
    assert "accuracy" in capsys.readouterr().out


def test_a_place_that_is_taken_is_refused(bundle: Path, dataset: Path) -> None:
    assert quantized(bundle, "--calibration", dataset, "--to", bundle) == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--calibration", "none-such"], "there is no none-such"),
        (["--max-loss", "7"], "--max-loss 7 is out of range"),
        (["--to", "pyproject.toml/int8"], "--to: cannot write pyproject.toml/int8"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_measured(
    bundle: Path,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    named: str,
) -> None:
    usual = ("--calibration", dataset, "--to", tmp_path / "int8")
    assert quantized(bundle, *usual, *options) == 2
    told = capsys.readouterr()
    assert named in told.err
    assert told.out == ""


def test_too_little_room_for_what_is_made_on_the_way_is_told_before_it_begins(
    bundle: Path,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No disk has so much.
    monkeypatch.setattr("visionedge.commands.quantize._TIMES_THE_MODEL", 10**15)
    assert quantized(bundle, "--calibration", dataset, "--to", tmp_path / "int8") == 2
    told = capsys.readouterr()
    assert "MB free, and temporary files take about" in told.err
    assert "set TMPDIR" in told.err
    assert not (tmp_path / "int8").exists()


def test_without_the_tools_it_says_what_to_install(
    bundle: Path,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert quantized(bundle, "--calibration", dataset, "--to", tmp_path / "int8") == 2
    assert "visionedge[tools]" in capsys.readouterr().err
