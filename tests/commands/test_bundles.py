"""`import` makes a bundle, and `verify` holds it to what it was."""

import json
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.__main__ import main
from visionedge.inference.golden import verify_golden
from visionedge.inference.model import load_model
from visionedge.settings import ModelSettings

WEIGHTS = np.array([[4, 0, -4], [0, 1, 0], [-4, 0, 4]], np.float32)
LABELS = b"blue\ngreen\nred"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "more/a.png")):
        picture = np.full((40, 60, 3), 40, np.uint8)
        picture[..., number] = 220
        cv2.imwrite(str(folder / name), picture)
    return folder


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.zip"
    metadata = {"license": "MIT", "Image.NominalPixelRange": "Normalized_0_1"}
    graph = color_classifier(WEIGHTS, metadata=metadata)
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("model.onnx", graph.SerializeToString())
        target.writestr("labels.txt", LABELS)
        target.writestr(
            "cvexport.manifest", json.dumps({"DomainType": "Classification", "Platform": "ONNX"})
        )
    return path


@pytest.fixture
def bundle(export: Path, pictures: Path, tmp_path: Path) -> Path:
    to = tmp_path / "models" / "colours"
    assert main(["import", str(export), "--to", str(to), "--golden", str(pictures)]) == 0
    return to


def test_an_imported_export_is_a_whole_bundle(bundle: Path) -> None:
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    golden = {f"golden/{name}" for name in ("a.png", "a-2.png", "b.png", "expected.json")}
    assert names == {"model.onnx", "model.json", "labels.txt", "README.md"} | golden
    model = load_model(bundle, ModelSettings(path="unused"))
    assert model.card.name == "colours"
    assert model.card.labels == ("blue", "green", "red")
    assert "sha256" not in model.origins
    assert verify_golden(model) == []


def test_the_readme_says_where_it_is_from(bundle: Path) -> None:
    text = (bundle / "README.md").read_text()
    assert "Licence of the weights: MIT" in text
    assert "Custom Vision: DomainType Classification, Platform ONNX" in text
    assert "`labels`: labels.txt" in text


def test_whoever_watches_many_golden_frames_sees_how_far_it_is(
    export: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(6):
        cv2.imwrite(str(many / f"{number}.png"), np.full((64, 64, 3), 40 * number, np.uint8))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["import", str(export), "--to", str(tmp_path / "b"), "--golden", str(many)]) == 0
    assert "golden frame" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "b")]) == 0
    captured = capsys.readouterr()
    assert "/6 [" in captured.err
    assert "golden frame" not in captured.out


def test_weights_that_the_hash_does_not_cover_are_named(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, to = tmp_path / "made", tmp_path / "b"
    folder.mkdir()
    (folder / "labels.txt").write_bytes(LABELS)
    onnx.save_model(
        color_classifier(WEIGHTS),
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert main(["import", str(folder), "--to", str(to), "--golden", str(pictures)]) == 0
    capsys.readouterr()
    assert main(["verify", str(to)]) == 0
    assert "ok    sha256   not of weights.bin: only golden frames hold that" in (
        capsys.readouterr().out.splitlines()
    )


def test_a_sound_bundle_is_verified(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["verify", str(bundle), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    checked = [check["name"] for check in answer["checks"]]
    assert checked == ["card", "sha256", "labels", "model", "golden"]


def test_everything_that_differs_is_named(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = onnx.load(bundle / "model.onnx")
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(-WEIGHTS.T.copy(), "weights"))
    onnx.save(graph, bundle / "model.onnx")
    (bundle / "labels.txt").write_text("blue\ngreen\nyellow")
    capsys.readouterr()
    assert main(["verify", str(bundle)]) == 3
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines if line.startswith("FAIL")]
    assert any("sha256" in line and "the card says" in line for line in failed)
    assert any("2 is `yellow`, in the card `red`" in line for line in failed)
    golden = {line.split()[2] for line in failed if line.split()[1] == "golden"}
    assert golden == {"a.png:", "a-2.png:", "b.png:"}


def test_a_bundle_that_proves_nothing_does_not_pass(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(export), "--to", str(tmp_path / "bare")]) == 0
    assert "nothing proves it" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "bare")]) == 3
    assert "no golden frames" in capsys.readouterr().out


def test_a_bundle_that_does_not_load_is_a_failed_check(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:-20])
    assert main(["verify", str(bundle)]) == 3
    assert "FAIL  model" in capsys.readouterr().out


def test_boxes_become_golden_frames_too(tmp_path: Path, pictures: Path) -> None:
    out = np.zeros((1, 6, 84))
    out[0, :, 3] = [32, 32, 16, 8, 0.9, 0.1]
    model = saved(answers({"output0": out}), tmp_path / "detector.onnx")
    to = tmp_path / "boxes"
    assert main(["import", str(model), "--to", str(to), "--golden", str(pictures)]) == 0
    expected = json.loads((to / "golden" / "expected.json").read_text())
    assert len(expected["frames"][0]["detections"]) == 1


def test_nothing_is_overwritten_and_nothing_half_made_is_left(
    export: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    assert main(["import", str(export), "--to", str(taken)]) == 2
    (pictures / "c.png").write_text("no picture")
    to = tmp_path / "new" / "bundle"
    assert main(["import", str(export), "--to", str(to), "--golden", str(pictures)]) == 2
    assert "c.png is no picture" in capsys.readouterr().err
    assert list(to.parent.iterdir()) == []


def test_weights_beside_the_model_come_along(tmp_path: Path) -> None:
    graph = color_classifier(np.ones((3, 3), np.float32))
    path = tmp_path / "export" / "big.onnx"
    path.parent.mkdir()
    onnx.save(graph, path, save_as_external_data=True, location="big.weights", size_threshold=0)
    assert main(["import", str(path), "--to", str(tmp_path / "big")]) == 0
    assert (tmp_path / "big" / "big.weights").is_file()
