"""Time, as an object that a test can hold still.

Wall time (`utc`) is for people, messages and expiry that must survive a restart. It may
jump: a factory PC without a battery starts in 1970 and is corrected by NTP minutes later.
Monotonic time (`ns`) is for latency, deadlines and back-off, and never goes back.
"""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

_STARTED: Final = 22
"""Of /proc/self/stat: when the process started, in ticks since the machine did (proc(5))."""


class Clock(Protocol):
    """Where every part gets the time, and where every part waits."""

    def utc(self) -> datetime:
        """Wall time, aware, UTC."""

    def ns(self) -> int:
        """Monotonic nanoseconds."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event`, at most `timeout_s`; True if it is set."""


class SystemClock:
    """The real one."""

    def utc(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)

    def ns(self) -> int:
        """Monotonic nanoseconds."""
        return time.monotonic_ns()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event`, at most `timeout_s`; True if it is set."""
        return event.wait(timeout_s)


class FakeClock:
    """Time that moves only when told to, for tests and simulations of long outages.

    Safe for many threads. `wait` returns when the event is set or when `advance` has
    carried the clock past the timeout, so a test never sleeps. It polls its event every
    few milliseconds of real time, because an Event cannot be waited for together with a
    condition.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._moved = threading.Condition()
        self._utc = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._ns = 1_000_000_000

    def utc(self) -> datetime:
        """Wall time, aware, UTC."""
        with self._moved:
            return self._utc

    def ns(self) -> int:
        """Monotonic nanoseconds."""
        with self._moved:
            return self._ns

    def advance(self, seconds: float) -> None:
        """Move both times forward and wake whoever waits long enough already."""
        with self._moved:
            self._utc += timedelta(seconds=seconds)
            self._ns += round(seconds * 1e9)
            self._moved.notify_all()

    def jump(self, seconds: float) -> None:
        """Move wall time alone, either way, as NTP or an operator does."""
        with self._moved:
            self._utc += timedelta(seconds=seconds)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event` until the clock has advanced by `timeout_s`."""
        deadline_ns = self.ns() + round(timeout_s * 1e9)
        with self._moved:
            while not event.is_set() and self._ns < deadline_ns:
                self._moved.wait(0.005)
        return event.is_set()


def process_age_s() -> float:
    """Seconds since this process was started, imports and all; 0 where the system does not tell."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    # The name of the command comes second and may hold anything, also brackets and spaces.
    after_name = stat.rpartition(")")[2].split()
    started_s = int(after_name[_STARTED - 3]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s
