"""`visionedge tune` as its user meets it: a table, a kept choice, a module that reads it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.__main__ import main
from visionedge.evaluation import tuning
from visionedge.inference.bundle import checked_sha256
from visionedge.inference.tuned import Tuned

pytestmark = pytest.mark.usefixtures("as_it_was")
WEIGHTS = np.eye(3, dtype=np.float32)[:2]


@pytest.fixture
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who becomes nicer stays so: the tests after this one would run last of all."""
    asked: list[str] = []
    monkeypatch.setattr(tuning, "be_modest", lambda: asked.append("modest"))
    return asked


def config(folder: Path, **model: object) -> Path:
    path = saved(color_classifier(WEIGHTS), folder / "model.onnx")
    settings = {
        "models": {"default": {"path": str(path), **model}},
        "spool": {"path": str(folder / "state" / "spool.db")},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder / "settings.json"


@pytest.mark.slow
def test_a_choice_is_kept_where_the_module_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_it_was: list[str]
) -> None:
    picture = tmp_path / "tune.png"
    asked = ["tune", "--config", str(config(tmp_path)), "--seconds", "1", "--plot", str(picture)]
    assert main(asked) == 0
    assert as_it_was == ["modest"]
    out = capsys.readouterr().out
    assert "present" in out
    assert "chosen" in out
    kept = Tuned(tmp_path / "state" / "models")
    assert str(kept.path) in out
    assert kept.choice(checked_sha256(tmp_path / "model.onnx", None)) is not None
    assert cv2.imread(str(picture)) is not None


@pytest.mark.slow
def test_a_dry_run_keeps_nothing_and_json_tells_every_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = saved(color_classifier(WEIGHTS), tmp_path / "other.onnx")
    asked = ["--seconds", "1", "--workers", "1", "--dry-run", "--json", "--candidate", str(other)]
    assert main(["tune", "--config", str(config(tmp_path, intra_op_threads=1)), *asked]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["kept"] is None
    assert {row["way"].split(",")[0] for row in told["ways"]} == {"as it is", "other.onnx"}
    assert not Tuned(tmp_path / "state" / "models").path.exists()


def quicker(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the ways of this name be twice as quick as all others, without a measurement."""

    def run(contest: tuning.Contest, *_: object) -> None:
        for each in contest.results:
            second = 0.01 if each.way.name == name else 0.02
            each.turns = [tuning.Turn(second, second, second, second)]

    monkeypatch.setattr(tuning.Contest, "run", run)


def test_a_size_that_is_clearly_better_is_told_as_fields_of_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(tmp_path)
    saved(color_classifier(WEIGHTS, input_shape=(1, 3, "h", "w")), tmp_path / "model.onnx")
    card = {"head": "classifier", "input": {"width_px": 64, "height_px": 64}}
    (tmp_path / "model.json").write_text(json.dumps(card))
    asked = ["tune", "--config", str(settings), "--dry-run", "--workers", "1", "--size", "32x16"]
    quicker(monkeypatch, "32x16")
    fields = {"input": {"width_px": 32, "height_px": 16}}
    assert main(asked) == 0
    assert f"with --card FILE, and in it {json.dumps(fields)}" in capsys.readouterr().out
    assert main([*asked, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["card"], told["patch"]) == (fields, None)
    quicker(monkeypatch, "as it is")
    assert main(asked) == 0
    assert "better still" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "told"),
    [("red\ngreen", "its class 1 is 'green', and that of"), ("red", "its class 1 is None, and")],
)
def test_a_candidate_with_other_classes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: str, told: str
) -> None:
    settings = config(tmp_path)
    (tmp_path / "labels.txt").write_text("red\nblue")
    other = saved(color_classifier(WEIGHTS[: labels.count("\n") + 1]), tmp_path / "o/model.onnx")
    other.with_name("labels.txt").write_text(labels)
    assert main(["tune", "--config", str(settings), "--candidate", str(other)]) == 2
    said = capsys.readouterr().err
    assert f"--candidate {other}: {told}" in said
    assert f"{tmp_path / 'model.onnx'} 'blue'" in said


def test_a_candidate_of_another_task_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = saved(answers({"output0": np.zeros((1, 6, 84))}), tmp_path / "other.onnx")
    asked = ["tune", "--config", str(config(tmp_path)), "--candidate", str(other)]
    assert main(asked) == 2
    said = capsys.readouterr().err
    model = tmp_path / "model.onnx"
    assert f"{other}: it is for detection, and {model} for classification" in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--seconds", "0"], "--seconds 0 is no time"),
        (["--seconds", "nan"], "--seconds nan is no time"),
        (["--workers", "0"], "--workers 0"),
        (["--plot", "tune.svg"], "--plot: cannot write tune.svg: it does not end in .png"),
        (["--size", "big"], "--size big"),
        (["--candidate", "none-such.onnx"], "none-such.onnx"),
    ],
)
def test_a_wrong_option_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    assert main(["tune", "--config", str(config(tmp_path)), *arguments]) != 0
    assert named in capsys.readouterr().err
