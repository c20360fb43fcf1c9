"""Keep a feed safe from a source whose calls do not return.

Camera input is native code on sockets, drivers and name servers; each of them has parked
a reader for ever (opencv/opencv 24393, 27091; opencv-python 788). A parked call cannot be
ended from outside. So every call of a source runs in a thread of its own under a
deadline: the source's own timeout and some slack. When it is missed, thread and source
are given up together; should the call ever return, that same thread closes the source, as
nobody else may touch it before. The change of threads costs about 0.1 ms a frame.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from visionedge.cameras.source import CameraSource
from visionedge.entities import Image, Prediction
from visionedge.errors import CameraUnavailable
from visionedge.runtime.clock import Clock
from visionedge.runtime.worker import Caller

T = TypeVar("T")
Unwanted = Callable[[int, float], str]
"""Gets when a frame was captured (monotonic ns) and for how many seconds it can be held back; tells
why it is not wanted, or nothing."""
_CLOSE_TIMEOUT_S: Final = 5.0


class SourceStuck(CameraUnavailable):
    """A call of the source did not return; the source is lost, make another."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One grabbed frame.

    Attributes:
        captured_at: UTC.
        captured_ns: monotonic.
        image: None where nobody wanted it, or it could not be decoded.
        unwanted: why nobody wanted it; empty where somebody did.
        truth: as the source told it.
        fault: why it could not be decoded.
    """

    captured_at: datetime
    captured_ns: int
    image: Image | None = None
    unwanted: str = ""
    truth: Prediction | None = None
    fault: CameraUnavailable | None = None


class Guard:
    """One source. Used by one thread at a time, and never blocks it for long.

    Args:
        source: not open yet; it belongs to the guard from now on.
        caller: runs the calls; shared by the sources that follow each other in a feed.
        clock: tells when a frame was captured.
        slack_s: what a call may take beyond the source's own timeout.
    """

    def __init__(
        self, source: CameraSource, caller: Caller, clock: Clock, slack_s: float = 5.0
    ) -> None:
        self._source = source
        self._caller = caller
        self._clock = clock
        self._slack_s = slack_s
        self._lock = threading.Lock()
        self._inside = False
        self._called_ns = 0
        self._held_ns = 0
        self._given_up = threading.Event()

    @property
    def live(self) -> bool:
        """True for a camera that looks at the world."""
        return self._source.traits.live

    @property
    def patient(self) -> bool:
        """True for a source whose frames wait until they are taken."""
        return self._source.traits.patient

    @property
    def given_up(self) -> bool:
        """True once a call has missed its deadline; every further call is refused."""
        return self._given_up.is_set()

    @property
    def parked(self) -> bool:
        """True while a call that was given up has not returned."""
        with self._lock:
            return self._given_up.is_set() and self._inside

    @property
    def call_s(self) -> float:
        """How long ago the latest call began."""
        return (self._clock.ns() - self._called_ns) / 1e9

    def open(self) -> None:
        """Open the source.

        Raises:
            CameraUnavailable: it could not be opened.
            SourceStuck: it did not return.
        """
        self._call(self._source.open, self._source.traits.open_timeout_s)

    def shoot(self, unwanted: Unwanted) -> Shot:
        """Grab the next frame, and retrieve it unless it is unwanted.

        Raises:
            CameraUnavailable: none came; reopen.
            CameraEnded: there are no more.
            SourceStuck: the source did not return.
        """
        return self._call(lambda: self._shoot(unwanted), self._source.traits.read_timeout_s)

    def close(self) -> None:
        """Close the source, unless it was given up. Never raises."""
        if self._given_up.is_set():
            return
        try:
            self._call(self._source.close, _CLOSE_TIMEOUT_S)
        except SourceStuck:
            # Counted by the caller like any other, and there is nothing more to do.
            return

    def _shoot(self, unwanted: Unwanted) -> Shot:
        idle_ns = self._grab()
        at, ns = self._clock.utc(), self._clock.ns()
        if self._given_up.is_set():
            return Shot(at, ns, unwanted="stopped")
        # What was held back took from what the next grab had to wait for. Half of both, so that
        # a camera on a busy machine never comes late because it was modest.
        why = unwanted(ns, (idle_ns + self._held_ns) / 2e9)
        self._held_ns = self._clock.ns() - ns
        if why:
            return Shot(at, ns, unwanted=why)
        try:
            image, truth = self._source.retrieve()
        except CameraUnavailable as error:
            return Shot(at, ns, fault=error)
        return Shot(at, ns, image, truth=truth)

    def _grab(self) -> int:
        """Grab; returns for how long there was nothing to do, in nanoseconds."""
        began_ns, began_cpu_ns = self._clock.ns(), time.thread_time_ns()
        self._source.grab()
        worked_ns = time.thread_time_ns() - began_cpu_ns
        return max(0, self._clock.ns() - began_ns - worked_ns)

    def _call(self, function: Callable[[], T], timeout_s: float) -> T:
        try:
            return self._caller.call(lambda: self._within(function), timeout_s + self._slack_s)
        except TimeoutError:
            self._give_up()
            raise SourceStuck(
                f"a call did not return within {timeout_s + self._slack_s:g} s and was given up",
                hint="the camera's driver or network stack hangs",
            ) from None

    def _within(self, function: Callable[[], T]) -> T:
        """Runs in the caller's thread, maybe long after everybody stopped waiting."""
        with self._lock:
            if self._given_up.is_set():
                raise SourceStuck("the source was given up")
            self._inside = True
            self._called_ns = self._clock.ns()
        try:
            return function()
        finally:
            with self._lock:
                self._inside = False
                orphaned = self._given_up.is_set()
            if orphaned:
                self._source.close()

    def _give_up(self) -> None:
        with self._lock:
            self._given_up.set()
            orphaned = not self._inside
        if orphaned:
            # The call came back, or had not begun, just as the deadline passed.
            self._source.close()
