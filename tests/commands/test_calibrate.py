"""`visionedge calibrate` on pictures of the virtual line, and on verdicts that came back."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.envelopes import envelope, resolution

from visionedge.__main__ import main
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.entities import Outcome
from visionedge.settings import resolve
from visionedge.uplink.egress import EgressLedger

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
    assert "--risk 7 is out of range (give 0 to 1)" in capsys.readouterr().err
    assert main(["calibrate", "--model", BUNDLE, str(tmp_path)]) != 0


def test_a_share_that_cannot_be_kept_is_told(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["calibrate", "--model", BUNDLE, str(labelled), "--risk", "0"]
    assert main([*arguments, "--share", "0"]) == 0
    told = capsys.readouterr()
    asked = json.loads(told.out)["asked"]
    assert asked > 0
    assert f"{asked:.1%} of the pictures would be asked about, not 0.0%" in told.err
    assert main([*arguments, "--share", "1"]) == 0
    assert capsys.readouterr().err == ""


def test_it_draws_the_reliability_and_tells_the_baseline(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "plots"
    out = drawn / "figures.json"
    arguments = ["calibrate", "--model", BUNDLE, str(labelled), "--out", str(out), "--baseline"]
    assert main([*arguments, "--plots", str(drawn), "--share", "0.9"]) == 0
    card = json.loads(capsys.readouterr().out)["card"]
    assert card["baseline"]["frames"] == 12
    assert len(card["baseline"]["confidence"]) == 10
    assert sum(card["baseline"]["classes"].values()) >= 12
    figures = json.loads(out.read_text())
    assert sum(tenth["count"] for tenth in figures["reliability"]) == figures["words"]
    picture = cv2.imread(str(drawn / "reliability.png"))
    assert picture is not None
    assert picture.shape[1] > picture.shape[0]


def test_classes_by_other_names_are_told_by_an_option(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = tmp_path / "renamed"
    shutil.copytree(labelled, renamed)
    names = [f"their {name}" for name in Path(BUNDLE, "labels.txt").read_text().split()]
    (renamed / "classes.txt").write_text("\n".join(names))
    command = ["calibrate", "--model", BUNDLE, str(renamed), "--share", "0.9"]
    assert main(command) == 2
    assert "--map THEIRS=OURS" in capsys.readouterr().err
    same = [option for name in names for option in ("--map", f"{name}={name[6:]}")]
    assert main([*command, *same]) == 0
    mapped = capsys.readouterr().out
    assert main(["calibrate", "--model", BUNDLE, str(labelled), "--share", "0.9"]) == 0
    assert capsys.readouterr().out == mapped
    assert main([*command, "--map", "one"]) == 2
    assert "--map one: no pair of names" in capsys.readouterr().err


def test_it_looks_at_pictures_in_tiles_as_the_module_would(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["calibrate", "--model", BUNDLE, str(labelled), "--share", "1", "--risk", "0.5"]
    assert main(command) == 0
    whole = json.loads(capsys.readouterr().out)
    assert main([*command, "--tiles", "320x320"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] != whole["words"]
    assert main([*command, "--tiles", "wide"]) == 2
    assert "--tiles wide" in capsys.readouterr().err


def ledger(path: Path, model: str = "pcb") -> Path:
    """Two hundred settled escalations of a model that is surer than it is right."""
    chance = np.random.default_rng(3)
    egress = EgressLedger(path, 10**7)
    for number in range(200):
        said = float(chance.uniform(0.5, 0.999))
        right = bool(chance.random() < said**3)
        body = json.dumps({"model": {"name": model}, "camera": "line-1"}).encode()
        egress.leaves(envelope(id=f"{model}{number}", body=body))
        outcome = Outcome.CONFIRMED if right else Outcome.REJECTED
        claims = (("open", said, right),)
        egress.note(replace(resolution(f"{model}{number}", outcome), judged=claims))
    return path


def test_verdicts_that_came_back_calibrate_as_pictures_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger(tmp_path / "egress.jsonl")
    assert main(["calibrate", "--verdicts", str(path), "--risk", "0.2", "--share", "0.9"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["words"]) == (200, 200)
    assert told["temperature"] > 1.3
    assert told["calibration_error_after"] < told["calibration_error_before"]
    assert told["risk"] <= 0.2
    assert resolve([told["patch"]]).decision.accept > 0.5


def test_verdicts_on_several_models_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger(tmp_path / "egress.jsonl")
    ledger(path, "other")
    command = ["calibrate", "--verdicts", str(path), "--risk", "0.3"]
    assert main(command) == 2
    assert "--of" in capsys.readouterr().err
    assert main([*command, "--of", "other"]) == 0
    assert main([*command, "--of", "third"]) == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "--verdicts"),
        (["folder"], "--model"),
        (["--verdicts", "nothing.jsonl"], "no ledger"),
        (["folder", "--verdicts", "nothing.jsonl"], "pictures or from verdicts"),
    ],
)
def test_what_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    assert main(["calibrate", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_an_option_that_a_command_does_not_have_is_told_with_its_own_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", "folder", "--workers", "2"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: visionedge calibrate [-h]")
    assert told.endswith("visionedge calibrate: error: unrecognized arguments: --workers 2\n")
