"""The clock of sources that have no camera to wait for: files and the virtual line."""

import threading
from typing import Final

from visionedge.runtime.clock import Clock, SystemClock

_MADE_UP_NS: Final = 100_000_000


class Pacer:
    """Lets frames through at an even rate. Used by one thread at a time.

    A frame that comes late by less than a period, or by less than a tenth of a second, is made up
    for, so the mean rate holds: what a camera sends meanwhile waits on its way. One that comes
    later starts the schedule anew: a camera does not send a burst of old frames after a pause.

    Args:
        fps: frames a second; 0 never waits.
        halt: a set event ends a wait, so that a slow rate cannot hold up a stop.
    """

    def __init__(
        self, fps: float, halt: threading.Event | None = None, clock: Clock | None = None
    ) -> None:
        self._period_ns = round(1e9 / fps) if fps else 0
        self._halt = halt or threading.Event()
        self._clock = clock or SystemClock()
        self._due_ns: int | None = None

    def wait(self) -> None:
        """Wait until the next frame is due; the first is due at once."""
        if not self._period_ns:
            return
        now_ns = self._clock.ns()
        if self._due_ns is None or now_ns - self._due_ns > max(self._period_ns, _MADE_UP_NS):
            self._due_ns = now_ns
        elif self._due_ns > now_ns:
            self._clock.wait(self._halt, (self._due_ns - now_ns) / 1e9)
        self._due_ns += self._period_ns
