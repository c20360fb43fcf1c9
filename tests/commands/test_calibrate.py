"""`visionedge calibrate` on pictures of the virtual line."""

import json
from pathlib import Path

import cv2
import pytest

from visionedge.__main__ import main
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.settings import resolve

BUNDLE = "models/pcb-defects"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in YOLO's format: pictures of crowded boards, and what is wrong with them."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    spec = LineSpec(seed=99, defect_rate=6)
    line = VirtualLine(spec)
    for number in range(12):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), line.render(90 * number))
        truth = line.truth(90 * number)
        rows = []
        for (x1, y1, x2, y2), name in zip(truth.xyxy, truth.class_id, strict=True):
            x, y = (x1 + x2) / 2 / spec.width_px, (y1 + y2) / 2 / spec.height_px
            rows.append(f"{name} {x} {y} {(x2 - x1) / spec.width_px} {(y2 - y1) / spec.height_px}")
        (folder / "labels" / f"{number}.txt").write_text("\n".join(rows))
    return folder


def test_it_gives_a_patch_that_the_settings_take_and_a_temperature(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    arguments = ["calibrate", "--model", BUNDLE, str(labelled), "--out", str(out)]
    assert main([*arguments, "--risk", "0.05", "--share", "0.9"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 12
    assert told["words"] > 60
    assert told["risk"] <= 0.05
    assert told["calibration_error_after"] <= told["calibration_error_before"] + 0.02
    settings = resolve([told["patch"]])
    assert settings.decision.accept == told["patch"]["decision"]["accept"]
    assert 0.1 <= settings.decision.accept < 1
    curve = json.loads(out.read_text())["curve"]
    assert curve[-1]["coverage"] == 1


def test_a_risk_that_is_out_of_reach_is_told_with_the_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], labelled: Path
) -> None:
    assert main(["calibrate", "--model", BUNDLE, str(labelled), "--risk", "7"]) == 2
    assert "--risk is a share" in capsys.readouterr().err
    assert main(["calibrate", "--model", BUNDLE, str(tmp_path)]) != 0
