"""Settings that name a bundle, which is there to be fetched."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from tests.inference.graphs import color_classifier, saved

from visionedge.candidates import Job
from visionedge.deliveries import Deliveries
from visionedge.delivery.slots import SlotStore
from visionedge.metrics import Metrics
from visionedge.settings import Settings, resolve


def one_camera(tmp_path: Path, **more: Any) -> Settings:  # noqa: ANN401 - JSON
    """A model by twin, from `new.onnx`, that one camera uses."""
    old = saved(color_classifier(np.eye(3, dtype=np.float32)), tmp_path / "old" / "m.onnx")
    new = saved(color_classifier(np.eye(3, dtype=np.float32) * 2), tmp_path / "new.onnx")
    sha256 = hashlib.sha256(new.read_bytes()).hexdigest()
    model = {"path": str(old), "uri": str(new), "sha256": sha256}
    layer = {
        "models": {"m": {**model, **more}},
        "cameras": {
            "c": {"kind": "stream", "url": "rtsp://u:${env:CAMERA_KEY}@127.0.0.1:9/", "model": "m"}
        },
        "spool": {"path": str(tmp_path / "spool.db")},
        "delivery": {"shadow_frames": 0, "guard_frames": 1000, "signatures": "optional"},
    }
    return resolve([layer])


def on_its_way(tmp_path: Path, settings: Settings) -> tuple[Deliveries, Job]:
    """Deliveries whose thread is not started, and the job of their one bundle."""
    deliveries = Deliveries(
        SlotStore(tmp_path / "slots"), tmp_path / "cache", Metrics(), lambda *_: None
    )
    deliveries.want(settings)
    return deliveries, deliveries._jobs["m"]


def active(tmp_path: Path, settings: Settings, content: bytes) -> tuple[SlotStore, str]:
    """A store in which the desired bundle is active, and holds this; with its SHA-256."""
    sha256 = settings.models["m"].sha256
    store = SlotStore(tmp_path / "slots")
    path = store.path_of("m", sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    store.commit("m", sha256)
    return store, sha256
