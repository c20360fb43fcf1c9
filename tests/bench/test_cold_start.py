"""The floors of a cold start: each looks at a picture, and checks what it says it checks."""

import subprocess
import sys
from pathlib import Path

import pytest
from bench.child import ROOT
from bench.floor import NOTHING

BUNDLE = ROOT / "models" / "pcb-defects"
PICTURE = min((BUNDLE / "golden").glob("*.jpg"))


def floor(*checked: str) -> subprocess.CompletedProcess[str]:
    arguments = ["-m", "bench.floor", str(BUNDLE / "model.onnx"), str(PICTURE), *checked]
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT
    )


@pytest.mark.parametrize("checked", [(), (NOTHING, NOTHING)], ids=["bare", "pydantic"])
def test_the_least_program_looks(checked: tuple[str, ...]) -> None:
    assert floor(*checked).stdout.split() == ["looked"]


def test_the_floor_with_settings_checks_them_as_the_module_does(tmp_path: Path) -> None:
    config, card = tmp_path / "settings.json", str(BUNDLE / "model.json")
    config.write_text('{"telemetry": {"interval_s": 5}}', encoding="utf-8")
    assert floor(str(config), card).stdout.split() == ["looked"]
    config.write_text('{"telemetry": {"interval_s": -5}}', encoding="utf-8")
    assert "telemetry.interval_s" in floor(str(config), card).stderr
