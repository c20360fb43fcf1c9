"""What was proven of a bundle is proven once on a device, and again where anything changed."""

import shutil
from pathlib import Path

import pytest

from visionedge.errors import ModelLoadError
from visionedge.inference import golden
from visionedge.inference.model import LoadedModel
from visionedge.inference.proven import load_proven
from visionedge.settings import ModelSettings

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
SETTINGS = ModelSettings(path=".")


def proofs(cache: Path) -> int:
    return len(list((cache / "proofs").iterdir()))


def test_golden_frames_are_run_once_a_device(tmp_path: Path) -> None:
    folder, cache = tmp_path / "bundle", tmp_path / "cache"
    shutil.copytree(BUNDLE, folder)
    load_proven(folder, SETTINGS, cache)
    assert proofs(cache) == 2, "that it loads, and that its golden frames agree"
    load_proven(folder, SETTINGS, cache)
    assert proofs(cache) == 2


def test_other_golden_frames_are_run_again(tmp_path: Path) -> None:
    folder, cache = tmp_path / "bundle", tmp_path / "cache"
    shutil.copytree(BUNDLE, folder)
    load_proven(folder, SETTINGS, cache)
    pictures = sorted((folder / "golden").glob("*.jpg"))
    first, second = pictures[0].read_bytes(), pictures[1].read_bytes()
    pictures[0].write_bytes(second)
    pictures[1].write_bytes(first)
    with pytest.raises(ModelLoadError, match="golden frames"):
        load_proven(folder, SETTINGS, cache)
    with pytest.raises(ModelLoadError, match="golden frames"):
        load_proven(folder, SETTINGS, cache)
    assert proofs(cache) == 2, "a failure leaves no proof"


def test_golden_frames_are_run_in_the_trial_and_not_beside_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(model: LoadedModel) -> list[str]:
        raise AssertionError(f"{model.bundle.model} is run in this process")

    monkeypatch.setattr(golden, "verify_golden", here)
    load_proven(BUNDLE, SETTINGS, tmp_path)
    assert proofs(tmp_path) == 2
