"""A camera that is kept running: opened, read, paced, watched, and opened again.

One worker a camera. It grabs every frame its source has, because what is not grabbed
waits in a buffer and makes all later frames old. It retrieves those that the rate admits,
when a worker is about to take them: until then, and for half of the time that the camera
leaves it, a frame stays in the decoder, where it is there anyway (see `runtime.slot`). So a
line that asks for too much converts no frames that nobody looks at, and eight cameras hold
few more than one. What is retrieved goes into the slots, where it replaces an older one that
nobody took. Only a file that has no pace waits, with its next frame in hand, until the one
before was taken.

A camera that is lost is named in the log once, with what will be done, and once when it
is back; in between it is opened again and again with growing pauses. Lost is also one
whose picture stands still to the byte, and one whose calls do not return: see `judges`
and `guard`.

Not promised: that a stop ends a call that is parked. Its thread is left behind, and from
then on the feed puts nothing and reports nothing.
"""

import enum
import logging
import threading
from collections.abc import Callable
from typing import Final

from visionedge.cameras.guard import Guard, Shot
from visionedge.cameras.intake import Intake
from visionedge.cameras.registry import make_source
from visionedge.cameras.source import CameraSource
from visionedge.entities import Frame
from visionedge.errors import CameraEnded, CameraUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.backoff import Backoff
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.redact import redact
from visionedge.runtime.slot import LatestSlots
from visionedge.runtime.worker import Caller, Worker
from visionedge.settings import CameraSettings

log: Final = logging.getLogger(__name__)
MAX_PARKED: Final = 3
"""So many calls of one camera that have not returned, and no further one is made."""
_STEADY_S: Final = 15.0
"""A camera that ran this long, and three times `stale_after_s`, starts its pauses anew."""
_PARKED_POLL_S: Final = 1.0
_REST_POLL_S: Final = 10.0
_TAKEN_POLL_S: Final = 0.5


class CameraState(enum.StrEnum):
    """What a camera is doing."""

    OPENING = "opening"
    RUNNING = "running"
    LOST = "lost"
    ENDED = "ended"
    PAUSED = "paused"


OnState = Callable[[str, CameraState, str], None]
"""Gets camera id, state and detail; called by the feed's worker at each change."""
MakeSource = Callable[[CameraSettings, threading.Event], CameraSource]


class CameraFeed:
    """One camera on its way into the slots.

    Args:
        camera_id: name of the camera in the settings; also its key in the slots.
        settings: of the camera; a changed camera is a new feed.
        slots: where frames go.
        metrics: where they are counted.
        on_state: told of each change of state.
        make: builds the source from the settings and the event that ends its waits.
        clock: stamps the frames and waits between attempts.
        backoff: pauses between attempts.
        slack_s: what a call of the source may take beyond its own timeout.
    """

    def __init__(
        self,
        camera_id: str,
        settings: CameraSettings,
        slots: LatestSlots[Frame],
        metrics: Metrics,
        *,
        on_state: OnState | None = None,
        make: MakeSource = make_source,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        slack_s: float = 5.0,
    ) -> None:
        self.camera_id = camera_id
        self._settings = settings
        self._on_state = on_state
        self._make = make
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff(first_s=1.0, max_s=30.0)
        self._slack_s = slack_s
        self._steady_ns = round(max(_STEADY_S, 3 * settings.stale_after_s) * 1e9)
        self._intake = Intake(camera_id, settings, slots, metrics)
        self._up = metrics.camera_up.labels(camera_id)
        self._reopened = metrics.camera_reopened.labels(camera_id)
        self._crashes = metrics.worker_crashes.labels(f"feed-{camera_id}")
        self._caller = Caller(f"camera-{camera_id}")
        self._worker = Worker(
            f"feed-{camera_id}", self._run, stuck_after_s=300.0, on_crash=self._crashed
        )
        # Two events, because a thread can wait for one only: `halt` while it reads, `go`
        # while it rests.
        self._halt = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._lock = threading.Lock()
        self._guard: Guard | None = None
        # The one in use, and those given up whose call has not returned.
        self._guards: list[Guard] = []
        self._state: CameraState | None = None
        self._opened_before = False
        self._running_ns: int | None = None
        self._lost_ns: int | None = None

    @property
    def state(self) -> CameraState | None:
        """What the camera is doing; None before the start."""
        return self._state

    @property
    def abandoned(self) -> int:
        """Threads that were given up since the start, whether or not they came back."""
        return self._caller.abandoned

    @property
    def stuck(self) -> str:
        """Why the camera cannot be opened again, where so many calls are parked; else empty.

        It can be once one of them returns. If none does, only a new process helps.
        """
        parked_s = [guard.call_s for guard in self._guards if guard.parked]
        if len(parked_s) < MAX_PARKED:
            return ""
        return f"{len(parked_s)} calls have not returned, the first for {max(parked_s):.0f} s"

    def start(self) -> "CameraFeed":
        """Begin to open the camera; returns itself."""
        self._worker.start()
        return self

    def pause(self) -> None:
        """Let go of the camera until `resume`; a frame that waits may still be taken."""
        with self._lock:
            if not self._worker.stopping:
                self._go.clear()
                self._halt.set()

    def resume(self) -> None:
        """Open the camera again after `pause`."""
        with self._lock:
            if not self._worker.stopping:
                self._halt.clear()
                self._go.set()

    def request_stop(self) -> None:
        """Ask it to end; does not wait, and leaves its waiting frame to the workers."""
        with self._lock:
            self._worker.request_stop()
            self._halt.set()
            self._go.set()

    def stop(self, timeout_s: float) -> bool:
        """Close the camera and take back its waiting frame; False if a call is parked."""
        self.request_stop()
        ended = self._worker.stop(timeout_s)
        self._intake.withdraw()
        self._up.set(0)
        return ended

    def _run(self, worker: Worker) -> None:
        try:
            while not worker.stopping:
                worker.beat()
                if not self._go.is_set():
                    self._rest(worker)
                elif self.stuck:
                    self._clock.wait(self._halt, _PARKED_POLL_S)
                elif (error := self._read(worker)) is not None:
                    self._lose(error)
        except CameraEnded as ended:
            log.info("camera %s: %s", self.camera_id, redact(str(ended)))
            self._change(CameraState.ENDED, redact(str(ended)))
        finally:
            # At a stop `stop` says it: a call that returns later must not speak of the next feed.
            if not worker.stopping:
                self._up.set(0)
            self._caller.close()

    def _rest(self, worker: Worker) -> None:
        self._up.set(0)
        self._running_ns = self._lost_ns = None
        self._backoff.reset()
        self._change(CameraState.PAUSED, "")
        while not self._clock.wait(self._go, _REST_POLL_S):
            worker.beat()

    def _read(self, worker: Worker) -> CameraUnavailable | None:
        """Open the source and read it until a halt (None) or until it fails (the reason)."""
        guard = self._usable_guard()
        if self._state in (None, CameraState.PAUSED):
            self._change(CameraState.OPENING, "")
        try:
            guard.open()
            if self._opened_before:
                self._reopened.inc()
            self._opened_before = True
            self._intake.begin(asks=not guard.patient)
            while not self._halt.is_set():
                worker.beat()
                # Held by no name here, because the next frame may go where this one was.
                self._take(guard.shoot(self._intake.unwanted), guard, worker)
        except CameraUnavailable as error:
            return None if self._halt.is_set() else error
        finally:
            # A turn that was given for a call that did not return.
            self._intake.pass_on()
            guard.close()
        return None

    def _usable_guard(self) -> Guard:
        """The guard as it is, or one with a new source where the old one was given up."""
        if self._guard is None or self._guard.given_up:
            source = self._make(self._settings, self._halt)
            self._guard = Guard(source, self._caller, self._clock, self._slack_s)
            parked = [guard for guard in self._guards if guard.parked]
            self._guards = [*parked, self._guard]
        return self._guard

    def _take(self, shot: Shot, guard: Guard, worker: Worker) -> None:
        frame = None if self._halt.is_set() else self._intake.frame(shot, guard.live)
        if frame is None:
            return
        if self._running_ns is None:
            self._found(frame)
        while guard.patient and not self._intake.is_free(_TAKEN_POLL_S):
            worker.beat()
            if self._halt.is_set():
                self._intake.let_go()
                return
        self._intake.offer(frame)

    def _found(self, frame: Frame) -> None:
        """The first frame, or the first after an outage."""
        size = f"{frame.width} x {frame.height}"
        if self._lost_ns is None:
            log.info("camera %s runs, %s", self.camera_id, size)
        else:
            outage_s = (frame.captured_ns - self._lost_ns) / 1e9
            log.info("camera %s is back after %.1f s, %s", self.camera_id, outage_s, size)
        self._lost_ns = None
        self._running_ns = frame.captured_ns
        self._up.set(1)
        self._change(CameraState.RUNNING, size)

    def _lose(self, error: CameraUnavailable) -> None:
        """Say so once, and wait until it is time for the next attempt."""
        now_ns = self._clock.ns()
        if self._running_ns is not None and now_ns - self._running_ns > self._steady_ns:
            self._backoff.reset()
        self._running_ns = None
        self._up.set(0)
        pause_s = self._backoff.next_s()
        reason = redact(str(error))
        if self._lost_ns is None:
            self._lost_ns = now_ns
            log.warning(
                "camera %s lost: %s; opened again in %.1f s, then at growing intervals",
                self.camera_id, reason, pause_s,
            )  # fmt: skip
            self._change(CameraState.LOST, reason)
        else:
            log.debug("camera %s still lost: %s", self.camera_id, reason)
        self._clock.wait(self._halt, pause_s)

    def _crashed(self, _: Worker, error: Exception) -> None:
        self._crashes.inc()
        self._running_ns = None
        self._lost_ns = self._lost_ns or self._clock.ns()
        self._change(CameraState.LOST, redact(repr(error)))

    def _change(self, state: CameraState, detail: str) -> None:
        if state is self._state or self._worker.stopping:
            return
        self._state = state
        if self._on_state is not None:
            self._on_state(self.camera_id, state, detail)
