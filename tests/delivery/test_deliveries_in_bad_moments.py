"""Bundles by twin in bad moments: settings are still taken whole, and a stop ends."""

import errno
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from tests.delivery.bundles import active, on_its_way, one_camera
from tests.inference.graphs import color_classifier, saved

from visionedge.deliveries import Deliveries
from visionedge.delivery.slots import SlotStore
from visionedge.errors import SettingsError
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import Settings, resolve


def asking(bundle: str, **rules: str) -> Settings:
    """A model by the twin; `bundle` is a hex digit that tells it from others."""
    model = {"path": "models/x", "uri": "file:///nowhere", "sha256": bundle * 64}
    return resolve([{"models": {"default": model}, "delivery": rules}])


def refusing_disk(folder: Path) -> Deliveries:
    """What stands where the new file is to be written cannot be taken away."""
    (folder / "default" / "slots.json.new").mkdir(parents=True)
    return Deliveries(SlotStore(folder), folder / "cache", Metrics(), lambda *_: None)


def test_another_bundle_is_wanted_although_the_end_of_the_last_cannot_be_noted(
    tmp_path: Path,
) -> None:
    deliveries = refusing_disk(tmp_path)
    deliveries.want(asking("a"))
    later = asking("b")
    deliveries.want(later)
    (end,) = deliveries.open_ends(later)
    assert end.reason == "models.default: waiting"
    assert deliveries._jobs["default"].sha256 == "b" * 64


def test_a_stop_ends_although_a_trial_cannot_be_noted(tmp_path: Path) -> None:
    deliveries = refusing_disk(tmp_path)
    deliveries.want(asking("a"))
    deliveries._jobs["default"].phase = "checking"
    deliveries.stop(1.0)
    assert deliveries.worker.stopping


def test_a_refusal_that_cannot_be_noted_is_not_forgotten(tmp_path: Path) -> None:
    deliveries = refusing_disk(tmp_path)
    settings = asking("a", signatures="required")
    deliveries.want(settings)
    deliveries._prepare(deliveries._jobs["default"])
    (end,) = deliveries.open_ends(settings)
    assert end.failed
    assert "it has no signature" in end.reason
    deliveries.want(settings)
    assert deliveries._jobs == {}
    assert SlotStore(tmp_path).slots("default").refused == {}
    # What was in the way went with all that was left of the bundle.
    nobody = Lineup(LatestSlots(), Metrics(), lambda *_: None)
    deliveries.advance(nobody, lambda: None)
    assert "a" * 64 in SlotStore(tmp_path).slots("default").refused


def test_a_model_is_rolled_back_by_method_although_it_cannot_be_noted(tmp_path: Path) -> None:
    deliveries = refusing_disk(tmp_path)
    slots = {"active": "b" * 64, "previous": "a" * 64}
    (tmp_path / "default" / "slots.json").write_text(json.dumps(slots))
    nobody = Lineup(LatestSlots(), Metrics(), lambda *_: None)
    assert deliveries.roll_back("default", nobody, lambda: None) == "rolled back"
    told = deliveries.report(asking("b"), nobody)["default"]
    assert told["active"] == "a" * 16
    assert told["reason"] == "rolled back by the method rollback"


def test_a_stop_ends_although_a_patch_takes_bundles_out_meanwhile(tmp_path: Path) -> None:
    deliveries = Deliveries(SlotStore(tmp_path), tmp_path / "cache", Metrics(), lambda *_: None)
    models = {
        name: {"path": "models/x", "uri": "file:///nowhere", "sha256": "a" * 64}
        for name in ("default", "other")
    }
    deliveries.want(resolve([{"models": models}]))

    class Meanwhile(threading.Event):
        """The control thread has its turn when this is set."""

        def set(self) -> None:
            if not self.is_set():
                super().set()
                deliveries.want(resolve([]))

    deliveries._jobs["default"].cancelled = Meanwhile()
    deliveries.stop(1.0)
    assert deliveries._jobs == {}


def test_a_bundle_on_trial_waits_while_no_camera_uses_its_model(tmp_path: Path) -> None:
    old = saved(color_classifier(np.eye(3, dtype=np.float32)), tmp_path / "old" / "m.onnx")
    new = saved(color_classifier(np.eye(3, dtype=np.float32) * 2), tmp_path / "new" / "m.onnx")
    sha256 = hashlib.sha256(new.read_bytes()).hexdigest()
    metrics, store = Metrics(), SlotStore(tmp_path / "slots")
    deliveries = Deliveries(store, tmp_path / "cache", metrics, lambda *_: None)
    lineup = Lineup(LatestSlots(), metrics, lambda *_: None, deliveries.paths)

    def use(model: str) -> Callable[[], None]:
        settings = resolve(
            [
                {
                    "models": {
                        "one": {"path": str(old), "uri": str(new), "sha256": sha256},
                        "two": {"path": str(old)},
                    },
                    "cameras": {"c": {"kind": "file", "path": "/nowhere", "model": model}},
                    "spool": {"path": str(tmp_path / "spool.db")},
                    "delivery": {"shadow_frames": 0, "guard_frames": 0},
                }
            ]
        )

        def rewire() -> None:
            lineup.swap(lineup.prepare(settings, 1))

        rewire()
        deliveries.want(settings)
        return rewire

    rewire = use("one")
    deliveries._prepare(deliveries._jobs["one"])
    deliveries.advance(lineup, rewire)
    assert deliveries._jobs["one"].phase == "shadow"
    rewire = use("two")
    deliveries.advance(lineup, rewire)
    assert deliveries._jobs["one"].phase == "shadow"
    rewire = use("one")
    for _ in range(3):
        deliveries.advance(lineup, rewire)
    assert store.slots("one").active == sha256
    lineup.stop(5)


class Line:
    """Deliveries and the line that they change, as the app has them, with no thread of its own."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings, metrics = settings, Metrics()
        self.store = SlotStore(folder / "slots")
        self.deliveries = Deliveries(self.store, folder / "cache", metrics, lambda *_: None)
        self.lineup = Lineup(LatestSlots(), metrics, lambda *_: None, self.deliveries.paths)
        self.rewire()
        self.deliveries.want(settings)

    def rewire(self) -> None:
        self.lineup.swap(self.lineup.prepare(self.settings, 1))

    def prepare(self) -> None:
        self.deliveries._prepare(self.deliveries._jobs["m"])

    def advance(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.deliveries.advance(self.lineup, self.rewire)

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = self.deliveries.report(self.settings, self.lineup)["m"]
        return told


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Line]]:
    monkeypatch.setenv("CAMERA_KEY", "k")
    lines: list[Line] = []
    yield lines
    for line in lines:
        line.lineup.stop(5)


def test_a_bundle_is_rolled_back_although_a_cameras_secret_has_gone(
    tmp_path: Path, lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(tmp_path, one_camera(tmp_path))
    lines.append(line)
    line.prepare()
    line.advance(2)
    job = line.deliveries._jobs["m"]
    assert job.phase == "guard"
    assert line.lineup.models["m"] is job.candidate
    monkeypatch.delenv("CAMERA_KEY")
    assert job.rivals is not None
    for _ in range(10):
        job.rivals.failed()
    line.advance()
    assert line.lineup.path_of("m") == tmp_path / "old" / "m.onnx"
    assert line.lineup.trials == {}
    assert "failed on 10 frames" in line.told()["reason"]


def test_a_roll_back_that_cannot_be_put_into_effect_is_said_and_tried_again(
    tmp_path: Path, lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(tmp_path, one_camera(tmp_path))
    lines.append(line)
    line.prepare()
    line.advance(2)
    tries = 0

    def failing() -> None:
        nonlocal tries
        tries += 1
        raise SettingsError("not now")

    now_s = time.monotonic()
    assert "not in effect" in line.deliveries.roll_back("m", line.lineup, failing)
    assert line.told()["reason"] == "rolled back by the method rollback"
    line.deliveries.advance(line.lineup, failing)
    assert tries == 1
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 1000)
    line.advance()
    assert line.lineup.path_of("m") == tmp_path / "old" / "m.onnx"


@pytest.mark.parametrize("phase", ["loaded", "shadow"])
def test_a_step_that_cannot_be_put_into_effect_is_not_taken(
    tmp_path: Path, lines: list[Line], phase: str
) -> None:
    """As where another model of the line cannot be loaded just now."""
    line = Line(tmp_path, one_camera(tmp_path))
    lines.append(line)
    line.prepare()
    line.advance(("loaded", "shadow").index(phase))
    job = line.deliveries._jobs["m"]
    assert job.phase == phase

    def failing() -> None:
        raise SettingsError("model `other`: there is no model at /gone")

    line.deliveries.advance(line.lineup, failing)
    assert job.phase == phase
    assert line.lineup.models["m"] is not job.candidate
    assert "not now: model `other`" in line.told()["reason"]
    assert line.lineup.path_of("m") == tmp_path / "old" / "m.onnx"
    line.advance()
    assert job.phase == {"loaded": "shadow", "shadow": "guard"}[phase]
    assert line.told()["reason"] == ""


def test_what_is_committed_is_told_although_it_cannot_be_put_into_effect(
    tmp_path: Path, lines: list[Line], caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(tmp_path, one_camera(tmp_path))
    lines.append(line)
    line.prepare()
    line.advance(2)
    rivals = line.deliveries._jobs["m"].rivals
    assert rivals is not None
    rivals.rules = rivals.rules.model_copy(update={"guard_frames": 0})

    def failing() -> None:
        raise SettingsError("not now")

    with caplog.at_level("INFO"):
        line.deliveries.advance(line.lineup, failing)
    assert line.deliveries._jobs == {}
    assert "model m: bundle is active" in caplog.text


def test_a_word_of_trouble_goes_with_the_trouble(tmp_path: Path, lines: list[Line]) -> None:
    line = Line(tmp_path, one_camera(tmp_path))
    lines.append(line)
    line.prepare()
    line.advance()
    job = line.deliveries._jobs["m"]
    job.reason = "not now: No space left on device"
    line.advance()
    assert job.phase == "guard"
    assert line.told()["reason"] == ""


def test_an_active_bundle_whose_file_is_damaged_is_said_to_be_out_of_use_and_fetched_again(
    tmp_path: Path, lines: list[Line]
) -> None:
    settings = one_camera(tmp_path)
    store, sha256 = active(tmp_path, settings, b"half of it")
    line = Line(tmp_path, settings)
    lines.append(line)
    line.advance()
    assert line.told()["active"] == str(tmp_path / "old" / "m.onnx")
    assert line.told()["staged"] == sha256[:16]
    assert len(line.deliveries.open_ends(settings)) == 1
    line.prepare()
    assert store.path_of("m", sha256).read_bytes() == (tmp_path / "new.onnx").read_bytes()
    line.advance()
    assert line.deliveries._jobs["m"].phase == "shadow"


def test_an_active_bundle_that_cannot_be_looked_at_now_is_not_given_up(
    tmp_path: Path, lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = one_camera(tmp_path)
    store, sha256 = active(tmp_path, settings, b"half of it")
    line = Line(tmp_path, settings)
    lines.append(line)

    def failing(*_: object) -> BinaryIO:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as busy:
        busy.setattr("visionedge.delivery.slots.Path.open", failing)
        line.advance()
    assert store.slots("m").active == sha256
    assert line.deliveries._jobs == {}
    line.advance()
    assert line.told()["staged"] == sha256[:16]


def test_a_whole_active_bundle_that_cannot_be_loaded_is_said_so_and_not_given_up(
    tmp_path: Path, lines: list[Line]
) -> None:
    # As after a change of the image to a runtime that does not know its operators.
    unknown = b"of another runtime"
    sha256 = hashlib.sha256(unknown).hexdigest()
    settings = one_camera(tmp_path, sha256=sha256)
    active(tmp_path, settings, unknown)
    line = Line(tmp_path, settings)
    lines.append(line)
    line.advance(2)
    assert line.told()["active"] == str(tmp_path / "old" / "m.onnx")
    assert "cannot be loaded" in line.told()["reason"]
    (end,) = line.deliveries.open_ends(settings)
    assert end.failed
    assert line.store.slots("m").active == sha256
    assert line.deliveries._jobs == {}


@pytest.mark.parametrize("mended", [{"signature": ""}, {"size_bytes": 0}])
def test_a_bundle_refused_for_how_it_is_named_is_tried_again_when_that_is_mended(
    tmp_path: Path, mended: dict[str, Any]
) -> None:
    deliveries = Deliveries(SlotStore(tmp_path), tmp_path / "cache", Metrics(), lambda *_: None)
    wrong = one_camera(tmp_path, signature="AAAA", size_bytes=7)
    deliveries.want(wrong)
    deliveries._prepare(deliveries._jobs["m"])
    deliveries.want(wrong)
    assert deliveries._jobs == {}
    deliveries.want(one_camera(tmp_path, **{"signature": "AAAA", "size_bytes": 7, **mended}))
    assert deliveries._jobs["m"].phase == "waiting"


def test_a_bundle_that_is_bad_itself_is_not_tried_again_for_another_address(
    tmp_path: Path,
) -> None:
    deliveries = Deliveries(SlotStore(tmp_path), tmp_path / "cache", Metrics(), lambda *_: None)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    bad = {"uri": str(tmp_path / "bad.onnx"), "sha256": hashlib.sha256(b"no model").hexdigest()}
    deliveries.want(one_camera(tmp_path, **bad))
    deliveries._prepare(deliveries._jobs["m"])
    deliveries.want(one_camera(tmp_path, **{**bad, "uri": "/another"}))
    assert deliveries._jobs == {}


def test_a_bundle_on_which_the_module_itself_fails_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = one_camera(tmp_path)
    deliveries, job = on_its_way(tmp_path, settings)

    def failing(*_: object, **__: object) -> str:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr(hashlib, "file_digest", failing)
        with pytest.raises(RuntimeError):
            deliveries._prepare(job)
    (end,) = deliveries.open_ends(settings)
    assert end.reason.startswith("models.m: waiting the module failed on it")
    deliveries._prepare(job)
    assert job.phase == "loaded"


def test_what_was_fetched_of_a_bundle_that_nobody_wants_makes_room(tmp_path: Path) -> None:
    settings = one_camera(tmp_path)
    store = SlotStore(tmp_path / "slots")
    for sha256 in ("a" * 64, "b" * 64, "c" * 64):
        store.path_of("m", sha256).parent.mkdir(parents=True)
        store.path_of("m", sha256).with_name("bundle.part").write_bytes(b"half")
        store.path_of("m", sha256).write_bytes(b"x")
    state = {"active": "a" * 64, "previous": "b" * 64}
    (tmp_path / "slots" / "m" / "slots.json").write_text(json.dumps(state))
    deliveries = Deliveries(store, tmp_path / "cache", Metrics(), lambda *_: None)
    deliveries.want(settings)
    deliveries._prepare(deliveries._jobs["m"])
    assert not store.has("m", "c" * 64)
    assert store.has("m", "a" * 64)
    assert store.has("m", "b" * 64)


def test_a_canary_that_cannot_be_noted_at_a_restart_is_taken_up_all_the_same(
    tmp_path: Path, lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = one_camera(tmp_path)
    rules = settings.delivery.model_copy(update={"canary_share": 0.5})
    lines.append(line := Line(tmp_path, settings.model_copy(update={"delivery": rules})))
    line.store.hold("m", settings.models["m"].sha256, 100.0)
    line.prepare()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as disk:
        disk.setattr(line.store, "hold", full)
        line.advance(2)
    line.advance(2)
    assert "m" in line.lineup.trials
    assert line.told()["state"].startswith("canary")
