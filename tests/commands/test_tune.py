"""`visionedge tune` as its user meets it: a table, a kept choice, a module that reads it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.inference.graphs import color_classifier, saved

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
