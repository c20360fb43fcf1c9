"""The sender: hands the spool's messages to the hub, one by one, and never loses one.

A message leaves the spool only for a receipt: the hub's acknowledgement for telemetry and
health, the cloud's verdict for an escalation. Of escalations at most `window` are out
unanswered, like the window of TCP, and no further one goes while the cloud has asked for a
pause. The rest stays in our spool, which is bounded and knows what is worth most, and does not
fill edgeHub's store, which does neither.

What the hub has taken and a full disk has not noted is not sent again: nothing is sent until it is.

A send that failed may have arrived all the same, so it is repeated under the same id after
a pause, and meanwhile another message is tried: one that always fails must not block the
rest, and if the rest gets through it is given up as poison (`suspects`).

One thread, one message at a time: the pace is set by the hub's acknowledgements.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from visionedge.entities import Envelope, Kind
from visionedge.errors import (
    EgressUnwritable,
    SpoolUnavailable,
    UplinkDown,
    UplinkError,
    UplinkRejected,
)
from visionedge.metrics import Metrics
from visionedge.runtime.backoff import Backoff
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.worker import Worker
from visionedge.uplink.hub import HubClient
from visionedge.uplink.link import Link
from visionedge.uplink.queries import Queries
from visionedge.uplink.spool import Spool
from visionedge.uplink.suspects import Suspects

log: Final = logging.getLogger(__name__)
_ROUND_S: Final = 15.0
"""Most seconds between two looks at what is overdue or expired."""
_STUCK_AFTER_S: Final = 400.0
"""More than the longest send timeout."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """What a twin may change while the sender runs."""

    window: int
    answer_timeout_s: float
    paused_until: datetime | None = None
    """UTC; escalations are kept until then."""


class Sender:
    """Sends until stopped.

    Args:
        spool: where messages wait.
        hub: where they go.
        link: told how it went.
        metrics: sends by result, bytes, seconds.
        pacing: the window, and how long a verdict may take.
    """

    def __init__(
        self,
        spool: Spool,
        hub: HubClient,
        link: Link,
        metrics: Metrics,
        pacing: Pacing,
        *,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._spool = spool
        self._hub = hub
        self._link = link
        self.pacing = pacing
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff(first_s=1.0, max_s=60.0)
        self._suspects = Suspects()
        self._wake = threading.Event()
        self._retry = threading.Event()
        self._failing = False
        self._told = False
        """That sends fail, by a line of the log."""
        self._unnoted: str | None = None
        """What the hub has, and the spool has not written down."""
        self._silence_ended = threading.Event()
        self._reconnected = threading.Event()
        self._queries = Queries(spool, self._clock)
        self._look_due_ns = self._clock.ns()
        self._drain_until_ns: int | None = None
        spool.wake_on_change(self._wake)
        self.worker = Worker(
            "sender",
            self._run,
            stuck_after_s=_STUCK_AFTER_S,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
            clock=clock,
        )

    @property
    def pacing(self) -> Pacing:
        """What is kept to; the link is judged by the same patience."""
        return self._pacing

    @pacing.setter
    def pacing(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._link.answer_timeout_s = pacing.answer_timeout_s

    def start(self) -> None:
        """Begin to send."""
        self.worker.start()

    def connected(self) -> None:
        """The hub is there again: try at once, and ask for what was missed."""
        self._reconnected.set()
        self._wake.set()
        self._retry.set()

    def receipt(self) -> None:
        """The cloud said something: a verdict, a method, a change of the twin.

        After a silence, everything that was sent into it is sent again.
        """
        if self._link.receipt():
            self._silence_ended.set()
            self._wake.set()
        self._retry.set()

    def look(self) -> None:
        """The pacing has changed: see what may be sent now."""
        self._wake.set()

    def flush(self) -> None:
        """Somebody wants what waits to go now: a pause after failures is cut short."""
        self._retry.set()
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Send what may be sent until nothing is left, a send fails, or time is up.

        Returns:
            False where the last send had not come back in time; what it sent stays in the
            spool and is sent again after the next start.
        """
        self._drain_until_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        self.worker.request_stop()
        self._wake.set()
        self._retry.set()
        return self.worker.stop(timeout_s)

    def _run(self, worker: Worker) -> None:
        while True:
            worker.beat()
            # Cleared before looking: what comes after the look sets it again.
            self._wake.clear()
            self._retry.clear()
            if worker.stopping:
                break
            pause_s = self._round()
            # New messages do not cut a back-off short: they would fail like the last one.
            self._clock.wait(self._retry if self._failing else self._wake, pause_s)
        self._drain()

    def _round(self) -> float:
        """Send one message, or find that there is none; returns how long to pause."""
        began_ns = self._clock.ns()
        try:
            self._note_sent()
            self._look_after()
            envelope = self._next()
            if envelope is not None:
                return self._send(envelope)
        except SpoolUnavailable as error:
            if not self._failing:
                log.error("the spool cannot be used, sending waits for it: %s", error)
            self._failing = True
            # What cannot be asked, or be settled, for lack of disk is no silence of the cloud.
            self._link.stall(began_ns)
            return self._backoff.next_s()
        self._failing = False
        return self._look_every_s()

    def _next(self) -> Envelope | None:
        window, failed_ids = self._window(), self._suspects.failed_ids
        envelope = self._spool.next_to_send(window, failed_ids)
        if envelope is None and failed_ids:
            self._suspects.forgive()
            envelope = self._spool.next_to_send(window)
        return envelope

    def _window(self) -> int:
        """Most escalations that may be out; none while the cloud has asked for a pause."""
        pacing = self.pacing
        paused = pacing.paused_until is not None and self._clock.utc() < pacing.paused_until
        return 0 if paused else pacing.window

    def _drain(self) -> None:
        """The same without pauses, as long as it goes well and there is time."""
        while self._drain_until_ns is not None and time.monotonic_ns() < self._drain_until_ns:
            if self._round() > 0:
                return

    def _look_after(self) -> None:
        """Now and then: expire, resend what is overdue, judge the link; ask when reconnected."""
        with _wish(self._reconnected) as reconnected:
            if reconnected and (asked := self._queries.ask(self.pacing.answer_timeout_s)):
                log.info("asked for the verdicts of %d escalations", asked)
        now_ns = self._clock.ns()
        with _wish(self._silence_ended) as resend_all:
            if resend_all or now_ns >= self._look_due_ns:
                self._look_due_ns = now_ns + round(self._look_every_s() * 1e9)
                self._look_at_spool(resend_all)

    def _look_at_spool(self, resend_all: bool) -> None:
        self._spool.expire()
        if not self._window():
            # Who asked for a pause is there, and owes no answer.
            self._link.observe(0, 0)
            return
        escalations = self._spool.backlog()[Kind.ESCALATION]
        state = self._link.observe(escalations.sent.messages, escalations.ready.messages)
        self._spool.outages.look(
            state,
            self._metrics.counts("visionedge_escalations_dropped_total", "cause"),
            heard=self._link.receipt_age_s() is not None,
        )
        again = self._spool.overdue(self.pacing.answer_timeout_s, patient=not resend_all)
        if again:
            log.info("%d escalations are unanswered for too long and are sent again", again)

    def _look_every_s(self) -> float:
        return min(_ROUND_S, self.pacing.answer_timeout_s / 2)

    def _send(self, envelope: Envelope) -> float:
        started_ns = self._clock.ns()
        try:
            self._hub.send(envelope)
        except UplinkRejected as error:
            self._give_up(envelope, error)
            return 0.0
        except UplinkError as error:
            return self._failed(envelope, error)
        self._metrics.stage.labels("send").observe((self._clock.ns() - started_ns) / 1e9)
        self._metrics.sent_bytes.labels(envelope.kind).inc(envelope.size_bytes)
        self._metrics.sent.labels(envelope.kind, "ok").inc()
        self._link.acknowledged()
        self._suspects.passed(envelope)
        self._unnoted = envelope.id
        self._note_sent()
        if self._told:
            log.info("messages are being sent again")
        self._failing = self._told = False
        self._backoff.reset()
        return 0.0

    def _note_sent(self) -> None:
        if self._unnoted is not None:
            self._spool.mark_sent(self._unnoted)
            self._unnoted = None

    def _failed(self, envelope: Envelope, error: UplinkError) -> float:
        self._metrics.sent.labels(envelope.kind, "unavailable").inc()
        if isinstance(error, EgressUnwritable):
            # Who waits for our own disk is not waiting for the cloud; who was sent before is.
            if not self._spool.unanswered():
                self._link.stall()
        else:
            self._link.failed()
        if self._suspects.failed(envelope):
            self._give_up(envelope, error)
            return 0.0
        self._failing = True
        if not self._told and not isinstance(error, UplinkDown):
            log.warning("messages cannot be sent and are kept: %s", error)
            self._told = True
        return self._backoff.next_s()

    def _give_up(self, envelope: Envelope, error: UplinkError) -> None:
        log.error("%s %s will never be taken, given up: %s", envelope.kind, envelope.id, error)
        self._metrics.sent.labels(envelope.kind, "rejected").inc()
        self._spool.reject(envelope.id)


@contextmanager
def _wish(event: threading.Event) -> Iterator[bool]:
    """Whether something is wished for; it still is where the spool could not be asked for it."""
    wished = event.is_set()
    event.clear()
    try:
        yield wished
    except SpoolUnavailable:
        if wished:
            event.set()
        raise
