"""Bundles by twin in bad moments: settings are still taken whole, and a stop ends."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.inference.graphs import color_classifier, saved

from visionedge.deliveries import Deliveries
from visionedge.delivery.slots import SlotStore
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import Settings, resolve


def asking(bundle: str) -> Settings:
    """A model by the twin; `bundle` is a hex digit that tells it from others."""
    model = {"path": "models/x", "uri": "file:///nowhere", "sha256": bundle * 64}
    return resolve([{"models": {"default": model}}])


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
    settings = asking("a")
    deliveries.want(settings)
    deliveries._prepare(deliveries._jobs["default"])
    (end,) = deliveries.open_ends(settings)
    assert end.reason.startswith("models.default: waiting [Errno")


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
