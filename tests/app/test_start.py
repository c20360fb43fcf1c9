"""How the module starts: what comes before the first decision, and what is told of the rest."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.running import BUNDLE, busy_line, running

from visionedge.__main__ import main
from visionedge.inference.bundle import checked_sha256, find_bundle
from visionedge.inference.tuned import Choice, Tuned
from visionedge.settings import LAST_GOOD_NAME

REAL = Path(__file__).parents[3] / "shared" / "conformance" / "models"
LATER = (
    "azure",
    "visionedge.linkup",
    "visionedge.control",
    "visionedge.methods",
    "visionedge.uplink.azure_hub",
    "visionedge.uplink.archive",
    "visionedge.cameras.pattern",
    "visionedge.delivery.download",
    "visionedge.inference.golden",
    "visionedge.inference.rewritten",
    "visionedge.inference.yolo_v8",
)


def test_what_the_first_decision_does_not_need_is_not_imported_before_it() -> None:
    imported = "visionedge.commands.run, visionedge.app"
    program = f"import sys, {imported}; print(*(set({LATER}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_models_are_loaded_before_the_rest_is_imported() -> None:
    program = "import sys, visionedge.commands.run; print('visionedge.app' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False"]


def test_the_link_is_there_when_the_start_is_over(tmp_path: Path) -> None:
    with running(busy_line(tmp_path)) as app:
        assert app.stuck_parts() == {}
        assert "visionedge.linkup" in sys.modules
        assert app.status()["link"] != ""


def test_a_camera_that_is_away_keeps_the_link_waiting_for_a_moment_only(tmp_path: Path) -> None:
    away = {"cameras": {"line-1": {"kind": "file", "path": str(tmp_path / "absent.mp4")}}}
    document = {**busy_line(tmp_path), **away}
    with running(document, grace_s=2.0) as app:
        assert app.uptime_s < 30
        assert app.facts()["connectivity"]["state"]


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--no-such-option"]])
def test_garbage_is_collected_again_however_the_arguments_end(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert gc.isenabled()


def test_the_twin_tells_how_a_model_runs_and_that_it_was_tuned(tmp_path: Path) -> None:
    cache = tmp_path / "models"
    sha256 = checked_sha256(find_bundle(Path(BUNDLE), cache).model, None)
    Tuned(cache).keep(sha256, Choice(1, 2, True, "latency", "2026-11-21T10:00:00+00:00"))
    with running(busy_line(tmp_path)) as app:
        assert app.facts()["model"]["runs"] == {"default": "1 workers x 2 threads, spinning, tuned"}


def test_the_twin_tells_that_a_model_is_run_in_fewer_steps(tmp_path: Path) -> None:
    model = REAL / "yolox_nano" / "model.onnx"
    if not model.is_file():
        pytest.skip("the real models are not beside the project")
    with running({**busy_line(tmp_path), "models": {"default": {"path": str(model)}}}) as app:
        assert app.facts()["model"]["runs"]["default"].endswith("1 threads, rewritten: focus")


def test_what_was_tuned_holds_although_the_twin_has_moved_the_spool(tmp_path: Path) -> None:
    cache = tmp_path / "models"
    sha256 = checked_sha256(find_bundle(Path(BUNDLE), cache).model, None)
    Tuned(cache).keep(sha256, Choice(1, 2, True, "latency", "2026-11-21T10:00:00+00:00"))
    desired = {"spool": {"path": str(tmp_path / "other" / "spool.db")}}
    kept = json.dumps({"version": 3, "desired": desired})
    (tmp_path / LAST_GOOD_NAME).write_text(kept, encoding="utf-8")
    with running(busy_line(tmp_path)) as app:
        assert app.facts()["model"]["runs"] == {"default": "1 workers x 2 threads, spinning, tuned"}
