"""What the Azure Functions app does, without Functions: never raise, never lose.

Functions moves its pointer on after a call whether it raised or not, and its retry runs the whole
batch again (Microsoft Learn, "Azure Functions reliable event processing"). So nothing is raised
here: a message that could not be finished in the time of one call is set aside under `deferred`,
and its module sends it again, because no verdict came. Sent again it is a duplicate to the ledger
or a new attempt, and is paid for once either way.

The messages of a batch are tried in turn, each within its share of the time that is left, so that
one which takes long leaves time for those behind it.

The container worker can wait where this cannot: choose Functions for few escalations only.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Final

from verifier.admit import Meta
from verifier.build import Built
from verifier.clock import Clock, SystemClock
from verifier.errors import StoreConflict, VerifierError
from verifier.hosts.intake import take

log: Final = logging.getLogger(__name__)
_CALL_S: Final = 120.0
"""Less than the 5 minutes that a call may take on the consumption plan."""
_PAUSE_S: Final = 5.0
_DEFERRED: Final = "deferred"
_NO_TIME: Final = "no time left"
"""Why a message was set aside that was never tried."""
Batch = Sequence[tuple[bytes, Meta]]


class FunctionsHost:
    """Handles batches within one call each, and delivers when the timer says.

    Args:
        built: Core and courier.
        clock: For the time of a call.
    """

    def __init__(self, built: Built, clock: Clock | None = None) -> None:
        self._built = built
        self._clock = clock or SystemClock()
        self._delivering = threading.Lock()

    def take(self, batch: Batch) -> None:
        """Take every message as far as it goes, then deliver what is verified."""
        until_s = self._clock.monotonic_s() + _CALL_S
        waiting = dict.fromkeys(range(len(batch)), _NO_TIME)
        while waiting and self._clock.monotonic_s() < until_s:
            pause_s = self._round(batch, waiting, until_s)
            left_s = until_s - self._clock.monotonic_s()
            if waiting and left_s > 0:
                self._clock.wait(self._built.stop, max(0.1, min(pause_s, left_s)))
        for at, why in waiting.items():
            self._set_aside(*batch[at], why)
        self.deliver()

    def deliver(self) -> None:
        """Try what is due, and what other instances left behind."""
        if not self._delivering.acquire(blocking=False):
            return
        try:
            self._built.courier.adopt()
            self._built.courier.turn()
            for chore in self._built.chores:
                chore()
        except (VerifierError, StoreConflict) as error:
            log.error("delivery failed, the timer tries again: %s", error)
        finally:
            self._delivering.release()

    def _round(self, batch: Batch, waiting: dict[int, str], until_s: float) -> float:
        """Try each that waits once, none for longer than its share; seconds until the next."""
        pause_s = _CALL_S
        for untried, at in zip(range(len(waiting), 0, -1), list(waiting), strict=True):
            left_s = until_s - self._clock.monotonic_s()
            if left_s <= 0:
                break
            why, again_s = self._try(*batch[at], left_s / untried)
            if not why:
                del waiting[at]
                continue
            waiting[at] = why
            pause_s = min(pause_s, again_s)
        return pause_s

    def _try(self, body: bytes, meta: Meta, within_s: float) -> tuple[str, float]:
        """Why a message is not finished, or empty; and the seconds until it may be."""
        try:
            outcome = take(self._built.core, body, meta, within_s)
        except VerifierError as error:
            log.error("%s: %s", meta.position, error)
            return str(error) or type(error).__name__, _PAUSE_S
        return ("", 0.0) if outcome.kind.is_done else (outcome.reason, outcome.retry_after_s)

    def _set_aside(self, body: bytes, meta: Meta, why: str) -> None:
        try:
            self._built.core.dead_letters.put(body, meta, _DEFERRED, why)
        except VerifierError as error:
            # Its module sends it again; nothing but this line is lost.
            log.error("%s could not be set aside either: %s", meta.position, error)
