"""What `tune` found is taken where the settings leave it open, and only where it still holds."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.inference.graphs import color_classifier, saved

from visionedge.inference import tuned
from visionedge.inference.bundle import checked_sha256
from visionedge.inference.proven import load_proven
from visionedge.inference.tuned import Choice, Tuned
from visionedge.settings import ModelSettings

WEIGHTS = np.eye(3, dtype=np.float32)[:2]
SHA = "a" * 64
OPEN = ModelSettings(path=".")
CHOICE = Choice(3, 2, True, "latency", "2026-11-21T06:00:00+00:00")


def test_what_was_kept_is_found_again_for_that_model_only(tmp_path: Path) -> None:
    kept = Tuned(tmp_path / "models")
    assert kept.choice(SHA) is None
    kept.keep(SHA, CHOICE)
    assert Tuned(tmp_path / "models").choice(SHA) == CHOICE
    assert kept.choice("b" * 64) is None


def test_another_runtime_or_processor_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Tuned(tmp_path)
    kept.keep(SHA, CHOICE)
    monkeypatch.setattr(tuned, "processor", lambda: ["another"])
    assert kept.choice(SHA) is None


def test_settings_that_say_how_win_over_what_was_measured(tmp_path: Path) -> None:
    kept = Tuned(tmp_path)
    kept.keep(SHA, CHOICE)
    said = ModelSettings(path=".", intra_op_threads=4)
    assert kept.applied(said, SHA) == said
    filled = kept.applied(OPEN, SHA)
    assert (filled.intra_op_threads, filled.spin) == (2, True)
    assert kept.applied(OPEN, "b" * 64).intra_op_threads == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"choices": 3}', '{"choices": {}}', "\x00" * 100, "[" * 100_000],
)
def test_a_file_that_is_none_costs_the_tuning_and_no_more(tmp_path: Path, text: str) -> None:
    (tmp_path / "tuned.json").write_text(text)
    assert Tuned(tmp_path).choice(SHA) is None
    Tuned(tmp_path).keep(SHA, CHOICE)
    assert Tuned(tmp_path).choice(SHA) == CHOICE


@pytest.mark.parametrize(
    "change",
    [
        {"workers": 0},
        {"workers": 10**9},
        {"intra_op_threads": -1},
        {"intra_op_threads": "2"},
        {"spin": 1},
        {"more": 1},
    ],
)
def test_a_choice_that_cannot_be_run_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    kept = Tuned(tmp_path)
    kept.keep(SHA, CHOICE)
    document = json.loads(kept.path.read_text())
    (key,) = document["choices"]
    document["choices"][key].update(change)
    kept.path.write_text(json.dumps(document))
    assert kept.choice(SHA) is None


def test_the_module_loads_a_model_as_it_was_tuned(tmp_path: Path) -> None:
    model = saved(color_classifier(WEIGHTS), tmp_path / "model.onnx")
    cache = tmp_path / "cache"
    assert load_proven(model, OPEN, cache).session.intra_op_threads == 1
    Tuned(cache).keep(checked_sha256(model, None), CHOICE)
    session = load_proven(model, OPEN, cache).session
    assert (session.intra_op_threads, session.spin) == (2, True)
