"""Models that are loaded ahead are those that are asked for later, once."""

from pathlib import Path

import pytest

from visionedge.errors import ModelLoadError
from visionedge.inference.ahead import Ahead
from visionedge.settings import ModelSettings

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
SETTINGS = ModelSettings(path=str(BUNDLE))
_PATIENCE_S = 60.0


def test_a_model_that_was_begun_is_handed_over_once(tmp_path: Path) -> None:
    ahead = Ahead().begin([(BUNDLE, SETTINGS), (BUNDLE, SETTINGS)], tmp_path)
    model = ahead.take(BUNDLE, SETTINGS, _PATIENCE_S)
    assert model is not None
    assert model.card.name == "pcb-defects"
    assert ahead.take(BUNDLE, SETTINGS, _PATIENCE_S) is None
    again = ahead.sessions.open(
        model.bundle.model, str(model.card.sha256), SETTINGS, release_early=True
    )
    assert again is model.session


def test_a_model_under_other_settings_is_another(tmp_path: Path) -> None:
    ahead = Ahead().begin([(BUNDLE, SETTINGS)], tmp_path)
    other = SETTINGS.model_copy(update={"floor": 0.5})
    assert ahead.take(BUNDLE, other, _PATIENCE_S) is None


def test_what_was_wrong_is_told_to_whoever_asks_and_keeps_no_other_model_back(
    tmp_path: Path,
) -> None:
    absent = tmp_path / "absent"
    ahead = Ahead().begin([(absent, SETTINGS), (BUNDLE, SETTINGS)], tmp_path)
    with pytest.raises(ModelLoadError, match="absent"):
        ahead.take(absent, SETTINGS, _PATIENCE_S)
    assert ahead.take(BUNDLE, SETTINGS, _PATIENCE_S) is not None


def test_nobody_waits_for_what_was_not_begun() -> None:
    assert Ahead().take(BUNDLE, SETTINGS, _PATIENCE_S) is None
