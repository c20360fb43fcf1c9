import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.__main__ import main
from visionedge.commands import footprint
from visionedge.inference.card import read_document
from visionedge.inference.model import load_model
from visionedge.inference.optimised import Optimised
from visionedge.settings import ModelSettings

REAL = Path(__file__).parents[3] / "shared" / "conformance" / "models"
WEIGHTS = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return saved(color_classifier(WEIGHTS), tmp_path / "colors.onnx")


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["inspect", "--json", *map(str, arguments)]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_each_field_is_told_with_where_it_is_from(
    classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier.with_suffix(".json").write_text('{"labels": ["a", "b", "c"]}')
    document = inspected(capsys, classifier, "--color", "bgr")
    assert document["fields"]["input.color"] == {"value": "bgr", "from": "option"}
    assert document["fields"]["head"]["from"] == "one output of 3 numbers"
    assert document["labels"] == {"names": ["a", "b", "c"], "from": "colors.json"}
    assert document["opset"] == 13
    assert document["inputs"] == ["images float32[1,3,32,32]"]


def test_a_guess_is_told_with_its_rival_and_the_words_that_choose_it(
    classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = inspected(capsys, classifier)
    readings = {each["field"]: each for each in before["other_readings"]}
    assert readings.keys() >= {"input.color", "input.scale", "input.fit"}
    assert "convention" in readings["input.color"]["why"]
    classifier.with_suffix(".json").write_text(json.dumps(readings["input.color"]["how"]))
    after = inspected(capsys, classifier)
    was, now = (each["fields"]["input.color"] for each in (before, after))
    assert {was["value"], now["value"]} == {"rgb", "bgr"}
    assert now["from"] == "colors.json"
    assert "input.color" not in {each["field"] for each in after["other_readings"]}


def test_a_written_card_leaves_nothing_to_guess(
    classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_model(classifier, ModelSettings(path="unused")).card
    document = inspected(capsys, classifier, "--write")
    assert document["other_readings"]
    assert load_model(classifier, ModelSettings(path="unused")).card == before
    assert inspected(capsys, classifier)["other_readings"] == []


def test_a_card_that_is_there_is_not_overwritten(
    classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = classifier.with_suffix(".json")
    card.write_text('{"name": "mine"}')
    assert main(["inspect", str(classifier), "--write"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert read_document(card) == {"name": "mine"}


def test_speed_is_measured_and_told(classifier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speed = inspected(capsys, classifier)["speed"]
    assert speed["runs"] >= 1
    assert speed["run_ms"] > 0
    assert main(["inspect", str(classifier)]) == 0
    assert "Speed here: " in capsys.readouterr().out


def test_a_model_that_is_run_in_fewer_steps_tells_which(
    classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspected(capsys, classifier)["rewritten"] == ""
    model = REAL / "yolox_nano" / "model.onnx"
    if not model.is_file():
        pytest.skip("the real models are not beside the project")
    assert main(["inspect", str(model)]) == 0
    told = capsys.readouterr().out
    assert "  rewritten   focus: faster, and the same answers" in told
    (kept_mb,) = re.findall(r"Memory of a run: (\d+) MB", told)
    assert int(kept_mb) >= 5, "what the model takes, although it was run when it was rewritten"


def test_memory_is_told_with_and_without_early_release() -> None:
    # In a process of its own, where nothing else takes or frees memory meanwhile.
    bundle = Path(__file__).parents[2] / "models" / "pcb-defects"
    told = subprocess.run(
        [sys.executable, "-m", "visionedge", "inspect", str(bundle)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    kept, released = map(int, re.findall(r"Memory of a run: (\d+) MB .*, (\d+) with", told)[0])
    assert 0 < released < kept


def test_memory_is_not_told_where_the_system_does_not_tell_it(
    classifier: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "resident_bytes", lambda: 0)
    assert main(["inspect", str(classifier)]) == 0
    told = capsys.readouterr().out
    assert "Speed here: " in told
    assert "Memory" not in told


def test_memory_is_not_told_where_there_is_no_room_to_measure_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that was rewritten just now has run, so that nothing grows any more."""
    path = REAL / "yolox_nano" / "model.onnx"
    if not path.is_file():
        pytest.skip("the real models are not beside the project")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model = load_model(path, ModelSettings(path=str(path)), cache=tmp_path)
    monkeypatch.setattr(Optimised, "written", full)
    assert footprint.measure(model) == footprint.Footprint(0, 0)


def test_without_a_folder_for_temporary_files_the_mend_is_told(
    classifier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    assert main(["inspect", str(classifier)]) != 0
    assert "set TMPDIR to a folder of yours" in capsys.readouterr().err


def test_a_model_that_does_not_tell_its_head_is_refused_with_those_that_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = np.zeros((1, 4321, 7), np.float32)
    out[..., 2:4] = 8
    model = saved(answers({"table": out}), tmp_path / "odd.onnx")
    assert main(["inspect", str(model)]) == 3
    error = capsys.readouterr().err
    assert "fit no head" in error
    assert "yolo_v5" in error
    assert main(["inspect", str(model), "--head", "yolo_v5", "--json"]) == 0
