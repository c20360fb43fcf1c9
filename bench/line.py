"""The whole way of a frame as the module goes it: camera feed, slots, workers, decision, spool.

Nothing in it is made for measuring but the telemetry, which stamps each frame when it has
been decided on. Between two turns the camera is paused and the workers wait, so that the
same threads, sessions and buffers are measured each time and none starts cold.
"""

import time
from pathlib import Path
from typing import Final, Self

from bench.harness import Sample
from bench.report import Unavailable
from visionedge.cameras.feed import CameraFeed, CameraState
from visionedge.entities import Decision, Frame, Prediction, new_id
from visionedge.escalation.decide import Decider
from visionedge.escalation.snapshot import Snapshots
from visionedge.evaluation.tuning import settle
from visionedge.inference.model import LoadedModel
from visionedge.metrics import Metrics
from visionedge.pipeline import Pipeline, Wiring
from visionedge.runtime.clock import SystemClock
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import Settings, resolve
from visionedge.telemetry import Telemetry
from visionedge.uplink.spool import Spool

_CAMERA: Final = "line"
_LOOK_S: Final = 0.002
_FRAMES_S: Final = 30.0
_STOP_S: Final = 5.0
_WARM_FRAMES: Final = 3


class _Stamps(Telemetry):
    """Telemetry that remembers when each frame was done: wall and CPU of the process, ns."""

    def __init__(self) -> None:
        super().__init__(SystemClock().utc())
        self.done: list[tuple[int, int]] = []

    def record(
        self, frame: Frame, prediction: Prediction, decision: Decision, latency_s: float
    ) -> None:
        """Count one decision, and stamp it."""
        super().record(frame, prediction, decision, latency_s)
        self.done.append((time.perf_counter_ns(), time.process_time_ns()))


class Line:
    """A camera that plays a file, and everything behind it up to the spool.

    Args:
        model: what looks at the frames.
        clip: the file.
        folder: for the spool.
        workers: frame loops.
        fps: pace of the camera; None is as fast as its frames are looked at.
    """

    def __init__(
        self,
        model: LoadedModel,
        clip: Path,
        folder: Path,
        *,
        workers: int,
        fps: float | None = None,
    ) -> None:
        settings = settings_of(model, clip, folder, fps)
        metrics = Metrics()
        slots = LatestSlots[Frame]()
        self._stamps = _Stamps()
        self._spool = Spool(
            Path(settings.spool.path),
            max_bytes=settings.spool.max_bytes,
            max_age_s=settings.spool.max_age_s,
            metrics=metrics,
        )
        wiring = Wiring(1, {_CAMERA: model}, Decider(settings, 1), Snapshots(settings))
        self._pipeline = Pipeline(
            wiring,
            slots,
            self._spool,
            self._stamps,
            metrics,
            workers=workers,
            queue=settings.escalation.queue,
        )
        self._feed = CameraFeed(_CAMERA, settings.cameras[_CAMERA], slots, metrics)

    def __enter__(self) -> Self:
        """Start all threads, see a few frames through, and rest."""
        self._pipeline.start()
        self._feed.start()
        self._await_frames(_WARM_FRAMES)
        self._rest()
        return self

    def __exit__(self, *_: object) -> None:
        """End all threads."""
        self._feed.stop(_STOP_S)
        self._pipeline.stop(_STOP_S)
        self._spool.close()

    def turn(self, seconds: float) -> Sample:
        """Let it run; what a frame took, from one that was done to another.

        Raises:
            Unavailable: no frame is done.
        """
        self._stamps.done.clear()
        self._feed.resume()
        self._await_frames(_WARM_FRAMES)
        first = len(self._stamps.done) - 1
        time.sleep(seconds)
        self._await_frames(first + 2)
        last = len(self._stamps.done) - 1
        self._rest()
        (began_ns, cpu_ns), (ended_ns, cpu_end_ns) = (
            self._stamps.done[number] for number in (first, last)
        )
        frames = last - first
        return Sample((ended_ns - began_ns) / frames / 1e9, (cpu_end_ns - cpu_ns) / frames / 1e9)

    def _await_frames(self, count: int) -> None:
        deadline = time.perf_counter() + _FRAMES_S
        while len(self._stamps.done) < count:
            if time.perf_counter() > deadline:
                raise Unavailable(f"the line stands: {count} frames took over {_FRAMES_S:.0f} s")
            time.sleep(_LOOK_S)

    def _rest(self) -> None:
        """Pause the camera, and wait until the frames in flight are done."""
        self._feed.pause()
        deadline = time.perf_counter() + _STOP_S
        while self._feed.state is not CameraState.PAUSED:
            if time.perf_counter() > deadline:
                raise Unavailable(f"the camera did not pause in {_STOP_S:.0f} s")
            time.sleep(_LOOK_S)
        settle()


def settings_of(model: LoadedModel, clip: Path, folder: Path, fps: float | None = None) -> Settings:
    """One camera that plays `clip`, with everything it keeps in `folder`."""
    camera = {"kind": "file", "path": str(clip), "fps": fps or 0, "realtime": fps is not None}
    return resolve(
        [
            {
                "cameras": {_CAMERA: camera},
                "models": {"default": {"path": str(model.bundle.model)}},
                "spool": {"path": str(folder / f"spool-{new_id()}.sqlite")},
            }
        ]
    )
