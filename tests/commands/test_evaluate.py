import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.__main__ import main
from visionedge.inference.image import read_image

ROOT = Path(__file__).parents[2]
DEEPPCB = ROOT / ".." / "shared" / "datasets" / "deeppcb"


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """It sees one bolt in the middle, whatever it is shown."""
    out = np.zeros((1, 6, 84))
    out[0, :, 3] = [32, 32, 16, 8, 0.9, 0.1]
    model = saved(answers({"output0": out}), tmp_path / "model" / "model.onnx")
    model.with_name("labels.txt").write_text("bolt\nnut")
    return model.parent


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "classes.txt").write_text("nut\nbolt")
    truth = {"right": "1 0.5 0.5 0.25 0.125", "wrong": "0 0.5 0.5 0.25 0.125", "empty": ""}
    for name, text in truth.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.full((64, 64, 3), 9, np.uint8))
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_figures_and_plots_are_written(
    detector: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", "--model", str(detector), str(dataset), "--json", "--out", str(out)]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == "yolo"
    assert told["confusion"] == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert told["precision"] == pytest.approx(1 / 3)
    assert told["recall"] == pytest.approx(1 / 2)
    assert json.loads((out / "report.json").read_text()) == told
    for name in ("confusion.png", "reliability.png"):
        drawn = read_image(out / name)
        assert drawn is not None
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 3


def test_people_get_a_table(
    detector: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(detector), str(dataset)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "true", "AP50", "AP50-95", "precision", "recall"]
    assert lines[1].split()[:2] == ["bolt", "1"]


def test_what_is_seen_in_pictures_with_nothing_in_them_is_a_false_alarm(
    detector: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / "empty.txt").unlink()
    arguments = ["evaluate", "--model", str(detector), str(dataset)]
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["empty"] == 1
    assert told["precision"] == pytest.approx(1 / 3)
    assert main(arguments) == 0
    assert "3 pictures, 1 of them with nothing in them; precision" in capsys.readouterr().out


def test_truth_without_a_picture_is_told(
    detector: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / "p9.txt").write_text("1 0.5 0.5 0.25 0.125")
    assert main(["evaluate", "--model", str(detector), str(dataset), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["pictures"] == 3
    assert "1 truth file has no picture and was left out: p9.txt" in told.err


def test_classes_of_one_name_are_one(
    detector: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (detector / "labels.txt").write_text("bolt\nbolt")
    arguments = ["evaluate", "--model", str(detector), str(dataset)]
    assert main([*arguments, "--map", "nut=bolt", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["label"], each["truth"]) for each in told["classes"]] == [("bolt", 2)]
    assert told["confusion"] == [[2, 0], [1, 0]]


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A folder of red and one of blue."""
    for channel, name in ((2, "red"), (0, "blue")):
        folder = tmp_path / "colours" / name
        folder.mkdir(parents=True)
        picture = np.zeros((40, 40, 3), np.uint8)
        picture[..., channel] = 250
        cv2.imwrite(str(folder / "a.png"), picture)
    return tmp_path / "colours"


def classifier(folder: Path, weights: list[list[int]]) -> Path:
    return saved(color_classifier(np.array(weights, np.float32)), folder / "model" / "model.onnx")


def test_a_classifier_is_judged_on_folders(
    tmp_path: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = classifier(tmp_path, [[9, 0, -9], [-9, 0, 9]])
    model.with_name("labels.txt").write_text("red\nblue")
    arguments = ["evaluate", "--model", str(model), str(colours), "--color", "rgb"]
    assert main([*arguments, "--json", "--threshold", "0.99"]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert (report["accuracy"], report["threshold"]) == (1.0, None)
    assert "assumed" not in told.err
    assert main(arguments) == 0
    assert "accuracy 1.000 over 2 pictures" in capsys.readouterr().out


def test_of_a_classifier_too_classes_of_one_name_are_one(
    tmp_path: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = classifier(tmp_path, [[9, 0, -9], [-9, 0, 9], [-9, 9, -9]])
    model.with_name("labels.txt").write_text("red\nblue\nred")
    arguments = ["--model", str(model), str(colours), "--color", "rgb"]
    assert main(["evaluate", *arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["accuracy"] == 1.0
    assert [each["label"] for each in told["classes"]] == ["red", "blue"]
    for number in range(9):
        for folder in colours.iterdir():
            (folder / f"{number}.png").write_bytes((folder / "a.png").read_bytes())
    assert main(["calibrate", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["risk"] == 0


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_names_that_are_assumed_by_their_order_are_told(
    command: str, tmp_path: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = classifier(tmp_path, [[-9, 0, 9], [9, 0, -9]])
    for number in range(9):
        for folder in colours.iterdir():
            (folder / f"{number}.png").write_bytes((folder / "a.png").read_bytes())
    arguments = [command, "--model", str(model), str(colours), "--color", "rgb"]
    assert main(arguments) == 0
    assert "no names for its classes; assumed in this order: blue, red" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_names_that_are_not_as_many_as_the_classes_are_not_assumed(
    command: str, tmp_path: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = classifier(tmp_path, [[-9, 0, 9], [0, 9, 0], [9, 0, -9]])
    arguments = [command, "--model", str(model), str(colours), "--color", "rgb"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "the 2 of the data set do not fit" in told
    assert "2 labels for a model with 3 classes" in told
    assert "labels.txt" in told


def test_boxes_and_classes_are_not_mixed(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set" / "bolt").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "set" / "bolt" / "a.png"), np.zeros((9, 9, 3), np.uint8))
    assert main(["evaluate", "--model", str(detector), str(tmp_path / "set")]) == 2
    assert "same kind" in capsys.readouterr().err


@pytest.mark.skipif(not DEEPPCB.is_dir(), reason="the boards are not beside the project")
def test_our_bundle_is_measured_on_real_boards(capsys: pytest.CaptureFixture[str]) -> None:
    bundle = ROOT / "models" / "pcb-defects"
    assert main(["evaluate", "--model", str(bundle), str(DEEPPCB), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 120
    assert sum(each["truth"] for each in told["classes"]) == 826
    assert 0 < told["map50_95"] < told["map50"] < 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--threshold", "3"], "--threshold 3 is out of range"),
        (["--format", "coco"], "no JSON file is in it"),
        (["--map", "bold=bolt"], "the data set has no class bold; it has nut, bolt"),
        (["--map", "bolt=bold"], "the model knows no bold; it knows bolt, nut"),
    ],
)
def test_a_wrong_option_is_named_with_what_there_is(
    detector: Path,
    dataset: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    named: str,
) -> None:
    assert main(["evaluate", "--model", str(detector), str(dataset), *options]) == 2
    assert named in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_before_the_measurement(
    detector: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    asked = ["evaluate", "--model", str(detector), str(dataset), "--out", str(taken)]
    assert main(asked) == 2
    told = capsys.readouterr()
    assert f"--out: cannot write {taken}" in told.err
    assert told.out == ""
