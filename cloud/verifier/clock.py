"""Time, as an object that a test can hold still.

Wall time decides expiry and the day of a budget, because both are agreed with others.
Monotonic time decides pauses and deadlines, because it never goes back.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where every part gets the time, and where every part waits."""

    def utc(self) -> datetime:
        """Wall time, aware, UTC."""

    def monotonic_s(self) -> float:
        """Seconds that never go back."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event`, at most `timeout_s`; True if it is set."""


class SystemClock:
    """The real one."""

    def utc(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event`, at most `timeout_s`; True if it is set."""
        return event.wait(timeout_s)
