"""Takes batches of messages to their ends, and delivers verdicts beside it.

A batch is done when every message of it has come to an end that is written down; only then may
the host checkpoint it. So a checkpoint never passes a message that could be lost, and one that
was handled twice after a crash is a duplicate to the ledger.

While no region of a Vision API answers, its messages are held here and tried again, and nothing
new is taken: the queue is the place to wait in, and each message expires by itself. A refused key
or a hub that refuses us is fatal: the worker stops with that error, and whoever runs it is told by
its exit code. Nothing is lost then but time.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from verifier.admit import Meta
from verifier.build import Built
from verifier.clock import Clock, SystemClock
from verifier.errors import (
    BackendMisconfigured,
    ReplyForbidden,
    StoreConflict,
    StoreUnavailable,
    VerifierError,
)
from verifier.hosts.intake import take

log: Final = logging.getLogger(__name__)
Message = tuple[bytes, Meta]
_STORE_PAUSE_S: Final = 5.0
_MAX_HOLD_S: Final = 30.0
_STOP_S: Final = 30.0


class Worker:
    """Runs a built verifier; `stop` from any thread.

    Args:
        built: Core and courier; its `stop` ends every pause.
        threads: Messages handled at once.
        sweep_s: How often to look for what other workers left behind; half a lease is soon enough.
        clock: For pauses.
        on_stop: Called once when the worker stops, by itself or by `stop`.
    """

    def __init__(
        self,
        built: Built,
        *,
        threads: int,
        sweep_s: float = 60.0,
        clock: Clock | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.failure: VerifierError | None = None
        self._built = built
        self._sweep_s = sweep_s
        self._clock = clock or SystemClock()
        self._on_stop = on_stop
        self._once = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="verifier")
        self._courier = threading.Thread(target=self._deliver, name="courier", daemon=True)

    @property
    def is_healthy(self) -> bool:
        """True while verdicts are delivered and nothing fatal happened."""
        return self._courier.is_alive() and self.failure is None

    def start(self) -> None:
        """Begin to deliver, what other workers left behind included."""
        self._courier.start()

    def stop(self, failure: VerifierError | None = None) -> None:
        """Begin to stop; what is in hand is finished or given back."""
        with self._once:
            first = not self._built.stop.is_set()
            self._built.stop.set()
            self.failure = self.failure or failure
        self._built.courier.arrived.set()
        if first:
            self._on_stop()

    def join(self) -> None:
        """Wait until everything has ended."""
        self._pool.shutdown(wait=True)
        if self._courier.ident is not None:
            self._courier.join(_STOP_S)

    def take(self, batch: Sequence[Message]) -> bool:
        """Take a batch to its end; True if it may be checkpointed."""
        return all(list(self._pool.map(self._finish, batch)))

    def _finish(self, message: Message) -> bool:
        while not self._built.stop.is_set():
            try:
                outcome = take(self._built.core, *message)
            except StoreUnavailable as error:
                log.warning("the store is away: %s", error)
                self._clock.wait(self._built.stop, _STORE_PAUSE_S)
                continue
            except BackendMisconfigured as error:
                self.stop(error)
                return False
            if outcome.kind.is_done:
                return True
            self._clock.wait(self._built.stop, min(outcome.retry_after_s, _MAX_HOLD_S))
        return False

    def _deliver(self) -> None:
        adopt_at_s = self._clock.monotonic_s()
        while not self._built.stop.is_set():
            pause_s = _STORE_PAUSE_S
            try:
                if self._clock.monotonic_s() >= adopt_at_s:
                    adopt_at_s = self._clock.monotonic_s() + self._sweep_s
                    self._built.courier.adopt()
                    for chore in self._built.chores:
                        chore()
                pause_s = self._built.courier.turn()
            except (StoreUnavailable, StoreConflict) as error:
                log.warning("delivery waits for the store: %s", error)
            except ReplyForbidden as error:
                self.stop(error)
                return
            if not self._built.stop.is_set():
                self._clock.wait(self._built.courier.arrived, min(pause_s, self._sweep_s))
