"""Settings that name a bundle, which is there to be fetched."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from tests.inference.graphs import color_classifier, saved

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
