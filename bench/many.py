"""One process with several cameras on one model, for a while: the module, or a loop a camera.

    python -m bench.many ours|naive MODEL CLIP FOLDER --cameras 8 --fps 15 --seconds 8

`ours` is the whole module as `visionedge run` starts it, without a hub or, with `--linked`, with
the one that the environment names. `naive` is what one writes first: a
thread a camera that reads the next frame of its own, waits until it is due, and looks at it
the tutorials' way with a session of the runtime's defaults. It prints one line of JSON when
it is done. A frame's age is the time from when it was due at the camera to its result.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from visionedge.app import App
from visionedge.entities import Decision, Frame, Prediction
from visionedge.inference.image import InputWriter
from visionedge.inference.model import load_model
from visionedge.runtime.worker import Worker
from visionedge.settings import ModelSettings
from visionedge.telemetry import Telemetry

WORD: Final = "measured"
_WARM_UP_S: Final = 2.0
_STOP_S: Final = 5.0


class Ages:
    """When each frame was done, and how old it was then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: list[tuple[float, float, str]] = []

    def add(self, camera: str, age_s: float) -> None:
        """One more."""
        with self._lock:
            self._done.append((time.perf_counter(), age_s, camera))

    def between(self, began: float, ended: float) -> Mapping[str, Any]:
        """Results a second, ages in milliseconds, and how even the cameras' shares were."""
        with self._lock:
            kept = [each for each in self._done if began <= each[0] < ended]
        if not kept:
            return {"per_s": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "late_ms": 0.0, "least_share": 0.0}
        ages = np.array([age for _, age, _ in kept]) * 1000
        counts = [sum(name == camera for *_, name in kept) for camera in {c for *_, c in kept}]
        last = ages[-max(1, len(ages) // 4) :]
        return {
            "per_s": len(kept) / (ended - began),
            "p50_ms": float(np.percentile(ages, 50)),
            "p99_ms": float(np.percentile(ages, 99)),
            "late_ms": float(np.percentile(last, 50)),
            "least_share": min(counts) / (sum(counts) / len(counts)),
            "cameras": len(counts),
        }


class Share:
    """Picks a share of events, evenly."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._owed = 0.0

    def due(self) -> bool:
        """True for this one."""
        self._owed += self._share
        if self._owed < 1:
            return False
        self._owed -= 1
        return True


def main(arguments: list[str] | None = None) -> None:
    """Run, and print what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=("ours", "naive"))
    for name in ("model", "clip", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--escalate", type=float, default=0.0, help="share of frames, 0..1")
    parser.add_argument("--linked", action="store_true", help="ours: with a hub")
    asked = parser.parse_args(arguments)
    ages = Ages()
    stop = (_ours if asked.way == "ours" else _naive)(asked, ages)
    time.sleep(_WARM_UP_S)
    began, cpu_s = time.perf_counter(), time.process_time()
    time.sleep(asked.seconds)
    ended, cpu_s = time.perf_counter(), time.process_time() - cpu_s
    told = {**ages.between(began, ended), "cores": cpu_s / (ended - began)}
    print(f"{WORD} {json.dumps(told)}", flush=True)
    # Whoever measures reads our memory now, and then ends us.
    sys.stdin.read()
    stop()


def _ours(asked: argparse.Namespace, ages: Ages) -> Callable[[], None]:
    record, share = Telemetry.record, Share(asked.escalate)

    def stamped(
        self: Telemetry,
        frame: Frame,
        prediction: Prediction,
        decision: Decision,
        latency_s: float,
    ) -> None:
        record(self, frame, prediction, decision, latency_s)
        ages.add(frame.camera_id, latency_s)
        if share.due():
            app.capture(frame.camera_id)

    # The one thing that is made for measuring.
    Telemetry.record = stamped  # type: ignore[method-assign] # for this process only
    camera = {"kind": "file", "path": str(asked.clip), "fps": asked.fps}
    layer = {
        "cameras": {f"line-{number}": camera for number in range(asked.cameras)},
        "models": {"default": {"path": str(asked.model)}},
        "spool": {"path": str(asked.folder / "spool.db")},
        "egress": {"path": str(asked.folder / "egress.jsonl")},
        "uplink": {"local_path": str(asked.folder / "outbox")},
        "http": {"port": 0},
    }
    app = App([layer], os.environ if asked.linked else {})
    app.start()
    return partial(app.stop, _STOP_S)


def _naive(asked: argparse.Namespace, ages: Ages) -> Callable[[], None]:
    workers = [
        Worker(f"loop-{number}", partial(_loop, asked, ages, f"line-{number}"))
        for number in range(asked.cameras)
    ]
    for worker in workers:
        worker.start()

    def stop() -> None:
        for worker in workers:
            worker.request_stop()
        for worker in workers:
            worker.stop(_STOP_S)

    return stop


def _loop(asked: argparse.Namespace, ages: Ages, camera: str, worker: Worker) -> None:
    """One camera's loop; a frame that is late is looked at all the same, and makes all later."""
    # Imported here, so that the module is not charged for what only the other way needs.
    import onnxruntime as ort

    from bench.naive import naive

    model = load_model(asked.model, ModelSettings(path="."))
    signature = model.session.signature
    session = ort.InferenceSession(model.bundle.model, providers=["CPUExecutionProvider"])
    size = InputWriter(model.card.input, signature.picture).size
    infer = naive(
        lambda tensor: session.run(None, {signature.picture.name: tensor})[0],
        model.card,
        size,
        model.limits,
    )
    capture = cv2.VideoCapture(str(asked.clip))
    period_s = 1 / asked.fps
    due = time.perf_counter()
    while not worker.stopping:
        ok, image = capture.read()
        if not ok:
            capture.open(str(asked.clip))
            continue
        wait_s = due - time.perf_counter()
        if wait_s > 0:
            time.sleep(wait_s)
        infer(np.asarray(image, np.uint8))
        ages.add(camera, time.perf_counter() - due)
        due += period_s


if __name__ == "__main__":
    main()
