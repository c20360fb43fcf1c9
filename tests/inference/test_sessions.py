"""One file is in memory once, however many names, cameras and cascades use it."""

import gc
import json
import os
import shutil
import weakref
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.inference.graphs import color_classifier, saved
from tests.inference.rewritable import focus

from visionedge.errors import ModelCardError
from visionedge.inference.bundle import checked_sha256
from visionedge.inference.model import load_model
from visionedge.inference.session import Session
from visionedge.inference.sessions import Sessions
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import Document, ModelSettings, resolve

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
SETTINGS = ModelSettings(path="unused")


def sessions_of(lineup: Lineup, document: Document) -> list[Session]:
    """The session of each camera, in the order of the cameras, through the real lineup."""
    prepared = lineup.prepare(resolve([document]), 1)
    lineup.swap(prepared)
    lineup.stop(2)
    return [model.session for _, model in sorted(prepared.wiring.models.items())]


def new_lineup() -> Lineup:
    return Lineup(LatestSlots(), Metrics(), lambda *_: None)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all of these tests, so that each bundle is tried in a child once."""
    return tmp_path_factory.mktemp("state")


def two_names(state: Path, one: Document, other: Document) -> Document:
    return {
        "cameras": {
            "a": {"kind": "pattern", "fps": 1, "model": "one"},
            "b": {"kind": "pattern", "fps": 1, "model": "other"},
        },
        "models": {"one": one, "other": other},
        "spool": {"path": str(state / "spool.db")},
    }


def test_what_the_card_says_of_memory_reaches_the_session(tmp_path: Path) -> None:
    assert load_model(BUNDLE, SETTINGS).session.release_early
    bundle = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    card = json.loads((bundle / "model.json").read_text())
    (bundle / "model.json").write_text(json.dumps({**card, "release_early": False}))
    assert not load_model(bundle, SETTINGS).session.release_early
    (bundle / "model.json").write_text(json.dumps({**card, "release_early": "yes"}))
    with pytest.raises(ModelCardError, match="release_early"):
        load_model(bundle, SETTINGS)


def test_one_file_that_is_run_in_two_ways_is_two_sessions(tmp_path: Path) -> None:
    sessions = Sessions()
    path = saved(color_classifier(np.eye(3, dtype=np.float32)), tmp_path / "m.onnx")
    sha256 = checked_sha256(path, None)
    kept = sessions.open(path, sha256, SETTINGS)
    assert sessions.open(path, sha256, SETTINGS, release_early=True) is not kept
    assert sessions.open(path, sha256, SETTINGS) is kept


def test_a_model_is_run_as_its_file_is_where_the_settings_say_so(tmp_path: Path) -> None:
    sessions, as_it_is = Sessions(), SETTINGS.model_copy(update={"rewrite": False})
    path = saved(focus(), tmp_path / "m.onnx")
    sha256, cache = checked_sha256(path, None), tmp_path / "cache"
    for _ in range(2):
        opened = [
            sessions.open(path, sha256, settings, cache).rewritten
            for settings in (SETTINGS, as_it_is)
        ]
        assert opened == ["focus", ""]
    assert len(list(cache.rglob("*.onnx"))) == 2


def test_cameras_whose_models_are_one_file_share_its_session(tmp_path: Path, state: Path) -> None:
    (tmp_path / "link").symlink_to(BUNDLE)
    one, other = {"path": str(BUNDLE)}, {"path": str(tmp_path / "link"), "floor": 0.4}
    lineup = new_lineup()
    first, second = sessions_of(lineup, two_names(state, one, other))
    assert first is second
    assert [lineup.models[name].limits.floor for name in ("one", "other")] == [0.1, 0.4]


def test_a_name_that_is_added_later_takes_the_session_that_is_there(state: Path) -> None:
    document = two_names(state, {"path": str(BUNDLE)}, {"path": str(BUNDLE)})
    alone = {**document, "cameras": {"a": document["cameras"]["a"]}}
    lineup = new_lineup()
    (before,) = sessions_of(lineup, alone)
    assert sessions_of(lineup, document) == [before, before]


def test_other_options_and_other_files_have_sessions_of_their_own(
    tmp_path: Path, state: Path
) -> None:
    one = {"path": str(BUNDLE)}
    first, second = sessions_of(new_lineup(), two_names(state, one, {**one, "intra_op_threads": 2}))
    assert first is not second
    copy = tmp_path / "copy"
    shutil.copytree(BUNDLE, copy)
    first, second = sessions_of(new_lineup(), two_names(state, one, {"path": str(copy)}))
    assert first is not second


def small(path: Path, classes: int) -> Path:
    return saved(color_classifier(np.eye(classes, 3, dtype=np.float32)), path)


def test_a_file_that_was_replaced_where_it_lay_is_another(tmp_path: Path) -> None:
    path, sessions = small(tmp_path / "model.onnx", 2), Sessions()
    before = sessions.open(path, checked_sha256(path, None), SETTINGS)
    assert sessions.open(path, checked_sha256(path, None), SETTINGS) is before
    small(path, 3)
    assert sessions.open(path, checked_sha256(path, None), SETTINGS) is not before


def test_weights_that_were_replaced_beside_the_file_are_other_weights(tmp_path: Path) -> None:
    model, path = color_classifier(np.eye(3, dtype=np.float32)), tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    sessions, sha256 = Sessions(), checked_sha256(path, None)
    before = sessions.open(path, sha256, SETTINGS)
    os.utime(tmp_path / "weights", ns=(1, 1))
    assert sessions.open(path, sha256, SETTINGS) is not before


def test_a_model_that_nobody_uses_any_more_is_let_go(tmp_path: Path) -> None:
    path, sessions = small(tmp_path / "model.onnx", 2), Sessions()
    session = weakref.ref(sessions.open(path, checked_sha256(path, None), SETTINGS))
    gc.collect()
    assert session() is None
