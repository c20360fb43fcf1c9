"""Threads: one named, supervised thread a job, all of them made here.

Why not bare threads: a thread that dies of an exception dies in silence, and a thread
that is parked in a native call cannot be cancelled. So a `Worker` logs and restarts its
job after a crash, tells by its heartbeat when it is stuck, and is a daemon, so that a
parked call can never keep the process alive. A `Caller` runs single calls (the device
SDK's, a camera's open) under a deadline of ours and abandons the thread that misses it.

What this does not promise: that a stuck call ends. It stays parked until the process
ends; `Caller.abandoned` counts such threads, and the owner decides when there are enough
of them for a restart of the process. One kind can be ended: a call that waits for an event
that nobody will ever set (`Caller.release`).
"""

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final, Generic, TypeVar, cast

from visionedge.runtime.backoff import Backoff
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.collector import paused

T = TypeVar("T")
log: Final = logging.getLogger(__name__)
_RELEASE_AGAIN_S: Final = 0.05
_Parked = tuple[threading.Thread, threading.Event]
"""With what is set when its call comes back. Not with the call: that knows the client it was made
of, and a session that has ended must go without being searched for."""
_here: Final = threading.local()


def beat() -> None:
    """A sign of life of the worker whose thread this is, from deep within its job; else nothing."""
    worker: Worker | None = getattr(_here, "worker", None)
    if worker is not None:
        worker.beat()


class Worker:
    """One named daemon thread that runs one job until it returns or is told to stop.

    The job gets the worker, loops `while not worker.stopping`, calls `worker.beat()` once
    a round, and waits by `worker.wait()` so that a stop wakes it. If the job raises, it is
    logged and started again after a growing pause; if it returns, the worker is done.

    Args:
        name: shown in logs, metrics and debuggers.
        job: what to do.
        stuck_after_s: how old the last heartbeat may be before `stuck` says so.
        on_crash: told of each crash, for the metrics.
    """

    def __init__(
        self,
        name: str,
        job: Callable[["Worker"], None],
        *,
        stuck_after_s: float = 60.0,
        on_crash: Callable[["Worker", Exception], None] | None = None,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._job = job
        self._stuck_after_ns = round(stuck_after_s * 1e9)
        self._on_crash = on_crash
        self._backoff = backoff or Backoff(first_s=0.5, max_s=30.0)
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._beat_ns = self._clock.ns()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> "Worker":
        """Start the thread; returns itself."""
        self.beat()
        self._thread.start()
        return self

    @property
    def stopping(self) -> bool:
        """True once somebody asked the job to end."""
        return self._stop.is_set()

    @property
    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread.is_alive()

    @property
    def stuck(self) -> str:
        """For how long there was no sign of life, where that is too long; else empty."""
        silent_ns = self._clock.ns() - self._beat_ns
        if not self.alive or silent_ns <= self._stuck_after_ns:
            return ""
        return f"no sign of life for {silent_ns / 1e9:.0f} s"

    def beat(self) -> None:
        """Give a sign of life."""
        self._beat_ns = self._clock.ns()

    def wait(self, timeout_s: float) -> bool:
        """Sleep, but wake for a stop; True if the job should end."""
        return self._clock.wait(self._stop, timeout_s)

    def request_stop(self) -> None:
        """Ask the job to end; does not wait."""
        self._stop.set()

    def stop(self, timeout_s: float) -> bool:
        """Ask the job to end and wait; False if it did not end in time."""
        self.request_stop()
        return self.join(timeout_s)

    def join(self, timeout_s: float) -> bool:
        """Wait for a job that ends by itself; False if it did not in time."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        _here.worker = self
        while not self.stopping:
            started_ns = self._clock.ns()
            try:
                self._job(self)
            except Exception as error:  # noqa: BLE001 - the one place that must outlive any job
                if self._clock.ns() - started_ns > self._backoff.max_s * 1e9:
                    # It ran well for long: this crash has nothing to do with the last one.
                    self._backoff.reset()
                self._crashed(error)
            else:
                return

    def _crashed(self, error: Exception) -> None:
        pause_s = self._backoff.next_s()
        # A pause is not being stuck: the next sign of life is due after it.
        self._beat_ns = self._clock.ns() + round(pause_s * 1e9)
        log.error(
            "worker %s crashed and starts again in %.1f s: %r",
            self.name,
            pause_s,
            error,
            exc_info=error,
        )
        try:
            if self._on_crash:
                self._on_crash(self, error)
        except Exception:
            log.exception("worker %s: on_crash failed", self.name)
        self.wait(pause_s)
        self.beat()


class _Call(Generic[T]):
    """One call on its way through a Caller."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.function = function
        self.done = threading.Event()
        # Also set by who does not let it wait any longer.
        self.wake = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that asked
            self.error = error
        finally:
            self.done.set()
            self.wake.set()


class Caller:
    """Runs blocking calls, one at a time, each under a deadline.

    The calls run in one daemon thread, made when first needed. A call that misses its
    deadline keeps that thread; the next call gets a new one. Waiting for an earlier call
    counts against the deadline.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.abandoned = 0
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[_Call[object] | None] | None = None
        self._thread: threading.Thread | None = None
        self._under_way: _Call[object] | None = None
        self._parked: list[_Parked] = []

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Run `function` in the caller's thread and return what it returns.

        Raises:
            TimeoutError: it has not returned in time, or was interrupted before; it may still
                be running.
            Exception: whatever `function` raised.
        """
        # A lock takes -1 for "wait for ever".
        timeout_s = max(0.0, timeout_s)
        call = _Call(function)
        started_ns = time.monotonic_ns()
        if not self._lock.acquire(timeout=timeout_s):
            raise self._late(timeout_s)
        try:
            calls = self._calls or self._start()
            self._under_way = cast("_Call[object]", call)
            calls.put(self._under_way)
            woken = call.wake.wait(timeout_s - (time.monotonic_ns() - started_ns) / 1e9)
            if not call.done.is_set():
                # None ends that thread if it ever comes back.
                calls.put(None)
                self._calls = None
                self.abandoned += 1
                if self._thread is not None:
                    self._parked = [each for each in self._parked if not each[1].is_set()]
                    self._parked.append((self._thread, call.done))
                raise self._late(timeout_s, interrupted=woken)
        finally:
            self._under_way = None
            self._lock.release()
        if call.error is not None:
            raise call.error
        return cast("T", call.result)

    def _late(self, timeout_s: float, *, interrupted: bool = False) -> TimeoutError:
        # Not a name in `call`: an error and the frame that it was raised in would know each other.
        if interrupted:
            return TimeoutError(f"{self.name}: given up before it answered")
        return TimeoutError(f"{self.name}: no answer within {timeout_s:g} s")

    def interrupt(self) -> None:
        """End the wait for a call that is under way, as if its time were up."""
        if (call := self._under_way) is not None:
            call.wake.set()

    def close(self) -> None:
        """End the thread once it is idle."""
        with self._lock:
            if self._calls is not None:
                self._calls.put(None)
                self._calls = None

    def release(self, timeout_s: float = 0.0) -> None:
        """End calls that were given up and wait for a `threading.Event`, by setting it.

        Only once that for which they wait cannot happen any more, as after the shutdown of the
        client that was called: they return as if it had, with a result that nobody reads.

        Args:
            timeout_s: how long to see whether they come back, and to release again those that
                wait for a further event instead.
        """
        ends_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        with self._lock:
            parked, self._parked = self._parked, []
        while late := [each for each in parked if not each[1].is_set()]:
            _set_awaited(late)
            left_s = (ends_ns - time.monotonic_ns()) / 1e9
            if left_s <= 0:
                return
            late[0][1].wait(min(left_s, _RELEASE_AGAIN_S))

    def _start(self) -> "queue.SimpleQueue[_Call[object] | None]":
        calls: queue.SimpleQueue[_Call[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=_serve, args=(calls,), name=self.name, daemon=True)
        self._thread.start()
        self._calls = calls
        return calls


def _set_awaited(parked: Iterable[_Parked]) -> None:
    with paused():
        frames = sys._current_frames()
    for thread, came_back in parked:
        # One that has come back has ended, and its number is another thread's by now.
        if came_back.is_set():
            continue
        if (event := _awaited(frames.get(thread.ident or 0))) is not None:
            event.set()


def _awaited(frame: FrameType | None) -> threading.Event | None:
    """The event that a thread waits for, by its stack; None where it does something else."""
    while frame is not None:
        if frame.f_code is threading.Event.wait.__code__:
            event = frame.f_locals["self"]
            return event if isinstance(event, threading.Event) else None
        frame = frame.f_back
    return None


def _serve(calls: "queue.SimpleQueue[_Call[object] | None]") -> None:
    while (call := calls.get()) is not None:
        call.run()
