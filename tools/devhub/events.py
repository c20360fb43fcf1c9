"""What happens in the hub, told to whoever listens.

Three ways out of the loop's thread: a `Bell` that wakes waiting threads, callbacks in one thread
of their own (so a slow one delays other callbacks, never the wire), and a short memory of the last
events, for error messages.

When callbacks fall far behind, `room` holds the links back: memory stays bounded and the module
feels it as a slow hub.
"""

import asyncio
import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from devhub.ledger import DeviceMessage

_LOG = logging.getLogger("devhub")
_REMEMBERED = 20
_CALLBACK_BACKLOG = 256


@dataclass(frozen=True, slots=True)
class HubEvent:
    """One thing that happened, as the command prints it.

    Attributes:
        at: UTC.
        kind: listening, tls-failed, refused, connected, disconnected, subscribed, unsubscribed,
            message, twin-get, reported, report-refused, desired, method, input, workload, faults,
            muted or tcp-failed.
        module_id: Whom it is about, or "".
        detail: The rest, for people to read.
    """

    at: dt.datetime
    kind: str
    module_id: str
    detail: str

    def __str__(self) -> str:
        clock = self.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
        return f"{clock} {self.kind:<13} {self.module_id:<12} {self.detail}".rstrip()


class Bell:
    """Counts changes; threads wait for the count to move on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def ring(self) -> None:
        """Something changed: wake everyone."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_past(self, seen: int, timeout_s: float) -> None:
        """Returns when the count is no longer `seen`, or after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, timeout_s)

    def wait_for(
        self, predicate: Callable[[], object], timeout_s: float, look_again_s: float
    ) -> bool:
        """Whether the predicate came true in time.

        It is asked after every ring, with no lock held, and every `look_again_s` besides, since it
        may look at things that do not ring.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            seen = self.count
            if predicate():
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self.wait_past(seen, min(left_s, look_again_s))


class Feed:
    """Tells events and messages to listeners."""

    def __init__(self) -> None:
        self.bell = Bell()
        self.last_events: deque[HubEvent] = deque(maxlen=_REMEMBERED)
        self.callback_errors = 0
        self._on_event: list[Callable[[HubEvent], None]] = []
        self._on_message: list[Callable[[DeviceMessage], None]] = []
        self._calls = ThreadPoolExecutor(max_workers=1, thread_name_prefix="devhub-callback")
        self._pending: deque[Future[None]] = deque()

    def listen(
        self,
        on_event: Callable[[HubEvent], None] | None = None,
        on_message: Callable[[DeviceMessage], None] | None = None,
    ) -> None:
        """Adds listeners; they are called in order, all in one thread."""
        if on_event:
            self._on_event.append(on_event)
        if on_message:
            self._on_message.append(on_message)

    def emit(self, kind: str, module_id: str = "", detail: str = "") -> None:
        """Tells that something happened."""
        event = HubEvent(dt.datetime.now(dt.UTC), kind, module_id, detail)
        self.last_events.append(event)
        for listener in self._on_event:
            self._call(listener, event)
        self.bell.ring()

    def deliver(self, message: DeviceMessage) -> None:
        """Hands a message to the message listeners."""
        for listener in self._on_message:
            self._call(listener, message)

    async def room(self) -> None:
        """Returns when the callbacks are not too far behind."""
        while self._pending and self._pending[0].done():
            self._pending.popleft()
        if len(self._pending) > _CALLBACK_BACKLOG:
            await asyncio.wait([asyncio.wrap_future(self._pending[-1])])

    def close(self) -> None:
        """Stops calling listeners; one that is running is waited for."""
        self._calls.shutdown(wait=True, cancel_futures=True)

    def _call(self, listener: Callable[..., None], argument: object) -> None:
        future = self._calls.submit(listener, argument)
        future.add_done_callback(self._report)
        self._pending.append(future)

    def _report(self, future: Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()):
            self.callback_errors += 1
            _LOG.error("a listener of the hub failed", exc_info=error)
