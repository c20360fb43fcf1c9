"""A camera that is another module: its frames come by messages, and each wants an answer.

Frames wait as they came, compressed, at most `queue` of them. The newest is looked at
first, because under load an answer that is late is worth less than one that is not given:
the oldest gives way and is refused by name, as is one that has waited for `max_wait_s`. One
picture is decoded ahead, and put into the slots when they are free, so that no frame that
was promised an answer is replaced there.

Silence is no fault: nobody knows when the other module will send. `camera_up` is 1 while
frames come.

The same face to its owner as `CameraFeed`, so a pause, a change of settings and the health
check need not know which it is.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from visionedge.cameras.feed import CameraState, OnState
from visionedge.cameras.jpeg_body import decode_jpeg
from visionedge.cameras.judges import RateGate
from visionedge.entities import Frame, FrameRequest
from visionedge.errors import FrameRefused
from visionedge.metrics import Metrics
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.slot import LatestSlots
from visionedge.runtime.worker import Worker
from visionedge.settings import InputCamera

_POLL_S: Final = 0.5
_CAUSES: Final = {
    "busy": "replaced",
    "late": "stale",
    "rate": "rate",
    "paused": "stopped",
    "stopped": "stopped",
}
"""Codes that are not about the picture, as causes of `frames_dropped`."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    body: bytes
    request: FrameRequest
    came_ns: int
    seq: int


class InputFeed:
    """Frames of another module on their way into the slots.

    Args:
        camera_id: name of the camera in the settings; also its key in the slots.
        settings: of the camera; a changed camera is a new feed.
        slots: where frames go.
        metrics: where they are counted.
        on_state: told of each change of state.
        clock: stamps the frames.
    """

    def __init__(
        self,
        camera_id: str,
        settings: InputCamera,
        slots: LatestSlots[Frame],
        metrics: Metrics,
        *,
        on_state: OnState | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.camera_id = camera_id
        self._settings = settings
        self._slots = slots
        self._on_state = on_state
        self._clock = clock or SystemClock()
        self._gate = RateGate(settings.max_fps)
        self._captured = metrics.frames_captured.labels(camera_id)
        self._bytes = metrics.frame_bytes.labels(camera_id)
        self._dropped = metrics.frames_dropped
        self._up = metrics.camera_up.labels(camera_id)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._waiting: deque[_Waiting] = deque()
        self._paused = False
        self._seq = 0
        self._last_ns: int | None = None
        self._state: CameraState | None = None
        self._worker = Worker(
            f"feed-{camera_id}",
            self._run,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    @property
    def state(self) -> CameraState | None:
        """What the camera is doing; None before the start."""
        return self._state

    @property
    def stuck(self) -> str:
        """For how long its thread has given no sign of life, where that is too long."""
        return self._worker.stuck

    def start(self) -> "InputFeed":
        """Begin to take frames; returns itself."""
        self._change(CameraState.PAUSED if self._paused else CameraState.RUNNING)
        self._worker.start()
        return self

    def pause(self) -> None:
        """Refuse frames until `resume`, and those that wait."""
        self._paused = True
        self._refuse_all("paused", "the camera is paused")
        if self._state is not None:
            self._change(CameraState.PAUSED)

    def resume(self) -> None:
        """Take frames again after `pause`."""
        self._paused = False
        if self._state is not None:
            self._change(CameraState.RUNNING)

    def request_stop(self) -> None:
        """Refuse what waits and what comes; does not wait for its end."""
        self._worker.request_stop()
        self._wake.set()
        self._refuse_all("stopped", "the camera was changed, or the module ends")

    def stop(self, timeout_s: float) -> bool:
        """Refuse what waits and what comes, and end; False if a decode is still under way."""
        self.request_stop()
        ended = self._worker.stop(timeout_s)
        if (frame := self._slots.discard(self.camera_id)) is not None and frame.request:
            self._refuse(frame.request, "stopped", "the camera was changed, or the module ends")
        self._up.set(0)
        return ended

    def offer(self, body: bytes, request: FrameRequest) -> None:
        """Take a frame, or refuse it; never waits. For any thread."""
        self._captured.inc()
        now_ns = self._clock.ns()
        with self._lock:
            code, reason = self._objection(body, now_ns)
            overflow: _Waiting | None = None
            if not code:
                self._last_ns = now_ns
                self._waiting.append(_Waiting(body, request, now_ns, self._seq))
                if len(self._waiting) > self._settings.queue:
                    overflow = self._waiting.popleft()
            self._seq += 1
        if code:
            self._refuse(request, code, reason)
            return
        self._wake.set()
        if overflow is not None:
            self._refuse(
                overflow.request, "busy", f"{self._settings.queue} newer frames are waiting"
            )

    def _objection(self, body: bytes, now_ns: int) -> tuple[str, str]:
        """Why a frame is not even kept; empty where it is."""
        most = self._settings.max_bytes
        if self._worker.stopping:
            return "stopped", "the camera was changed, or the module ends"
        if self._paused:
            return "paused", "the camera is paused"
        if len(body) > most:
            return "too_large", f"it has {len(body)} bytes; {most} is the most"
        if not self._gate.admits(now_ns):
            return "rate", f"more than {self._settings.max_fps:g} frames a second"
        return "", ""

    def _run(self, worker: Worker) -> None:
        while not worker.stopping:
            worker.beat()
            self._wake.clear()
            self._look_at_time()
            newest = self._newest()
            if newest is None:
                self._wake.wait(_POLL_S)
            else:
                self._serve(worker, newest)

    def _look_at_time(self) -> None:
        """Refuse what has waited too long, and say whether frames come."""
        now_ns = self._clock.ns()
        late: list[_Waiting] = []
        with self._lock:
            while self._waiting and self._age_s(self._waiting[0], now_ns) > self._most_wait_s:
                late.append(self._waiting.popleft())
            fed = self._last_ns is not None and (
                now_ns - self._last_ns <= self._settings.stale_after_s * 1e9
            )
        self._up.set(fed)
        for each in late:
            self._refuse(each.request, "late", f"it has waited for {self._most_wait_s:g} s")

    def _serve(self, worker: Worker, waiting: _Waiting) -> None:
        try:
            image = decode_jpeg(waiting.body, self._settings.max_pixels)
        except FrameRefused as error:
            self._refuse(waiting.request, error.code, str(error))
            return
        self._bytes.inc(image.nbytes)
        image.flags.writeable = False
        frame = Frame(
            image,
            self.camera_id,
            waiting.seq,
            self._clock.utc(),
            waiting.came_ns,
            request=waiting.request,
        )
        while not self._slots.wait_free(self.camera_id, _POLL_S) and not worker.stopping:
            worker.beat()
            self._look_at_time()
        left = frame if worker.stopping else self._slots.put(self.camera_id, frame)
        if left is not None:
            self._refuse(waiting.request, "stopped", "the camera was changed, or the module ends")

    def _newest(self) -> _Waiting | None:
        with self._lock:
            return self._waiting.pop() if self._waiting else None

    def _refuse_all(self, code: str, reason: str) -> None:
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for each in waiting:
            self._refuse(each.request, code, reason)

    def _refuse(self, request: FrameRequest, code: str, reason: str) -> None:
        self._dropped.labels(self.camera_id, _CAUSES.get(code, "undecoded")).inc()
        request.refused(code, reason)

    @property
    def _most_wait_s(self) -> float:
        return self._settings.max_wait_s

    def _age_s(self, waiting: _Waiting, now_ns: int) -> float:
        return (now_ns - waiting.came_ns) / 1e9

    def _change(self, state: CameraState) -> None:
        if state is self._state or self._worker.stopping:
            return
        self._state = state
        if self._on_state is not None:
            self._on_state(self.camera_id, state, "")
