"""Leave a service alone that does not answer, and try it again with one call.

Closed until five calls in a row failed, or half of the last twenty; then open for thirty
seconds; then one caller may try (half-open): its success closes, its failure opens again, for
twice as long and at most five minutes where that try may have been charged. One breaker a
backend and region, so that a bad region does not take a good one down with it.

Source: Michael Nygard, "Release It!", ch. 5, "Circuit Breaker".
"""

import threading
from collections import deque
from enum import StrEnum
from typing import Final

from verifier.clock import Clock

_IN_A_ROW: Final = 5
_WINDOW: Final = 20
_REST_S: Final = 30.0
_MAX_REST_S: Final = 300.0


class BreakerState(StrEnum):
    """What a caller may do."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts successes and failures of one service. Safe for many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: deque[bool] = deque(maxlen=_WINDOW)
        self._in_a_row = 0
        self._rest_s = _REST_S
        self._opened_s: float | None = None
        self._probe_until_s: float | None = None

    @property
    def state(self) -> BreakerState:
        """As a caller would find it now."""
        with self._lock:
            return self._state()

    def rest_s(self) -> float:
        """Seconds until a call may be tried; 0 when it may be now."""
        with self._lock:
            if self._opened_s is None:
                return 0.0
            return max(0.0, self._opened_s + self._rest_s - self._clock.monotonic_s())

    def admit(self) -> bool:
        """True if the caller may call; it must then say how it ended.

        A probe whose caller never says so is given up after the rest, so none blocks for good.
        """
        with self._lock:
            state = self._state()
            if state is BreakerState.HALF_OPEN:
                now = self._clock.monotonic_s()
                if self._probe_until_s is not None and now < self._probe_until_s:
                    return False
                self._probe_until_s = now + _REST_S
            return state is not BreakerState.OPEN

    def succeeded(self) -> bool:
        """The service answered, be it with a refusal of the picture; true where that closes it."""
        with self._lock:
            was_open = self._opened_s is not None
            if was_open:
                self._failed.clear()
            self._opened_s = self._probe_until_s = None
            self._in_a_row = 0
            self._rest_s = _REST_S
            self._failed.append(False)
            return was_open

    def failed(self, *, charged: bool = True) -> bool:
        """The service did not answer, or with an error of its own; true where that opens it."""
        with self._lock:
            was_open = self._opened_s is not None
            self._in_a_row += 1
            self._failed.append(True)
            half = len(self._failed) == _WINDOW and sum(self._failed) * 2 >= _WINDOW
            if charged and self._probe_until_s is not None:
                self._rest_s = min(_MAX_REST_S, self._rest_s * 2)
            if self._opened_s is not None or self._in_a_row >= _IN_A_ROW or half:
                self._opened_s = self._clock.monotonic_s()
                self._probe_until_s = None
            return not was_open and self._opened_s is not None

    def _state(self) -> BreakerState:
        if self._opened_s is None:
            return BreakerState.CLOSED
        rested = self._clock.monotonic_s() >= self._opened_s + self._rest_s
        return BreakerState.HALF_OPEN if rested else BreakerState.OPEN
