"""The supervisor of a link: one session after another, each given up rather than repaired.

The device SDK loses its session, its subscriptions, its timers or its answers in ways that
it does not notice, and does not come back from some of them. What always helped is to throw
the client away and make a new one. So a session here is something that is opened, watched
and dropped, and the reasons to drop it are few and measured:

    connect    the first connect failed; the SDK would never try again
    auth       credentials or TLS: only a new client fetches new ones
    deadline   a call of ours did not come back in time
    twin       the twin cannot be read, although the link is up
    lost       the link has been down for longer than the SDK should need
    drops      it comes and goes: somebody with our name, or a message that the hub hates

Between two sessions is a growing pause with jitter, which starts anew only after a session
that lived for a while. The twin is read after every connect and from time to time: it is
how a subscription that the hub has forgotten is found out.

The log tells of an outage once when it begins and once when it ends, however many sessions
were tried between; and, once, that we are refused, because that does not mend itself. Those
who send meet `UplinkDown` meanwhile, and are silent.

Nothing here knows the SDK: `Session` is the seam, and a test drives this file by a fake
session and a fake clock.
"""

import logging
import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from visionedge.entities import Envelope
from visionedge.errors import UplinkAuthFailed, UplinkDown, UplinkError, UplinkUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.backoff import Backoff
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.worker import Worker
from visionedge.uplink.hub import LinkChanged, OnEvent
from visionedge.uplink.limits import check_message, check_report
from visionedge.uplink.session import NewSession, Session, Watch

log: Final = logging.getLogger(__name__)
_MOMENT_S: Final = 1.0
"""How long a send waits for a link that is just being renewed, as it is for each new token;
and, after it failed, for the link to say that it is lost."""
_TWIN_TRIES: Final = 3
_REFUSED: Final = "auth"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each thing may take, in seconds, and how often it may fail."""

    first_pause_s: float = 1.0
    most_pause_s: float = 300.0
    lost_s: float = 60.0
    stable_s: float = 60.0
    liveness_s: float = 600.0
    close_s: float = 10.0
    drops_a_minute: int = 8
    max_failed_rebuilds: int = 0
    """In a row, until `on_stuck`; 0 is never."""


class SupervisedHub:
    """A `HubClient` made of sessions.

    Args:
        new_session: makes the next session.
        metrics: link_up, link_rebuilt and crashes.
        patience: when to give a session up, and how long to pause.
        on_stuck: told, once, that `max_failed_rebuilds` sessions in a row came to nothing;
            the process should end with EXIT_STUCK.
    """

    def __init__(
        self,
        new_session: NewSession,
        metrics: Metrics,
        *,
        patience: Patience | None = None,
        on_stuck: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._new_session = new_session
        self._metrics = metrics
        self._patience = patience or Patience()
        self._on_stuck = on_stuck
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()
        self._backoff = Backoff(
            self._patience.first_pause_s, self._patience.most_pause_s, self._rng
        )
        self._failed_rebuilds = 0
        self._on_event: OnEvent = lambda _: None
        self._watch: Watch | None = None
        self._session: Session | None = None
        self._up = threading.Event()
        self._lost = _Losses()
        self._told_up: bool | None = None
        self._told_refused = False
        self._lost_ns = self._clock.ns()
        self._worker = Worker(
            "uplink",
            self._run,
            stuck_after_s=600,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
            clock=clock,
        )

    @property
    def workers(self) -> list[Worker]:
        """As `HubClient.workers`."""
        return [self._worker]

    def start(self, on_event: OnEvent) -> None:
        """Begin to connect, and go on trying until `close`; returns at once."""
        self._on_event = on_event
        self._worker.start()

    def send(self, envelope: Envelope) -> None:
        """As `HubClient.send`."""
        check_message(envelope)
        self._while_up(lambda session: session.send(envelope))

    def report(self, patch: Mapping[str, Any]) -> None:
        """As `HubClient.report`."""
        check_report(patch)
        self._while_up(lambda session: session.report(patch))

    def refresh_twin(self) -> None:
        """As `HubClient.refresh_twin`."""
        if watch := self._watch:
            watch.want_twin()

    def close(self, timeout_s: float) -> None:
        """End everything within `timeout_s`; what did not end is left to daemon threads."""
        deadline_ns = self._clock.ns() + round(timeout_s * 1e9)
        self._worker.request_stop()
        if watch := self._watch:
            watch.attention.set()
        if session := self._session:
            session.close(timeout_s)
        self._worker.stop(max(0.0, (deadline_ns - self._clock.ns()) / 1e9))
        self._tell(connected=False)

    def _while_up(self, call: Callable[[Session], None]) -> None:
        self._up.wait(_MOMENT_S)
        losses = self._lost.count
        session, watch = self._session, self._watch
        if session is None or watch is None or not self._up.is_set():
            raise UplinkDown("the hub is not connected")
        try:
            call(session)
        except UplinkUnavailable as error:
            # The SDK may tell it to who sends a moment before it tells who watches: one loss,
            # so one line of the log.
            watch.attention.set()
            if not self._lost.wait_beyond(losses, _MOMENT_S):
                raise
            raise UplinkDown(str(error)) from error

    def _run(self, worker: Worker) -> None:
        while True:
            cause, detail = self._live(worker)
            if worker.stopping:
                return
            self._metrics.link_rebuilt.labels(cause).inc()
            self._failed_rebuilds += 1
            if self._failed_rebuilds == self._patience.max_failed_rebuilds and self._on_stuck:
                self._on_stuck(f"{self._failed_rebuilds} sessions in a row failed, now by {cause}")
            pause_s = self._backoff.next_s()
            log.debug("session given up by %s, next in %.0f s: %s", cause, pause_s, detail)
            worker.beat()
            worker.wait(pause_s)

    def _live(self, worker: Worker) -> tuple[str, str]:
        """One session, from open to close; returns why it ended."""
        watch = Watch(self._on_event)
        session = self._new_session(watch)
        self._watch, self._session = watch, session
        cause, detail = "stopped", "before it was open"
        try:
            if not worker.stopping:
                session.open()
                cause = self._watch_over(worker, session, watch)
                detail = watch.detail or "while it was open"
        except UplinkAuthFailed as error:
            cause, detail = "auth", str(error)
        except UplinkError as error:
            cause, detail = watch.cause or "connect", watch.detail or str(error)
        finally:
            self._session = self._watch = None
            self._tell(connected=False, cause=cause, detail=detail)
            session.close(self._patience.close_s)
        return cause, detail

    def _watch_over(self, worker: Worker, session: Session, watch: Watch) -> str:
        patience = self._patience
        opened_ns = self._clock.ns()
        lost_ns: int | None = None
        liveness = _Liveness(patience.liveness_s, self._clock, self._rng)
        while True:
            worker.beat()
            # Cleared before looking: what comes after the look sets it again.
            watch.attention.clear()
            now_ns = self._clock.ns()
            if worker.stopping or watch.cause:
                return watch.cause or "stopped"
            if watch.changes_since(now_ns - 60 * 10**9) > 2 * patience.drops_a_minute:
                return "drops"
            if session.connected:
                lost_ns = None
                self._tell(connected=True)
                pause_s = min(liveness.keep(session, watch), self._proven_in_s(opened_ns))
            else:
                lost_ns = lost_ns or now_ns
                self._tell(connected=False, cause="connection", detail="it broke off")
                pause_s = patience.lost_s - (now_ns - lost_ns) / 1e9
                if pause_s <= 0:
                    return "lost"
            if liveness.failures >= _TWIN_TRIES:
                return "twin"
            self._clock.wait(watch.attention, pause_s)

    def _proven_in_s(self, opened_ns: int) -> float:
        """Seconds until the session has lasted, and pauses start anew; infinite once it has."""
        left_s = self._patience.stable_s - (self._clock.ns() - opened_ns) / 1e9
        if left_s > 0:
            return left_s
        self._backoff.reset()
        self._failed_rebuilds = 0
        return math.inf

    def _tell(self, *, connected: bool, cause: str = "", detail: str = "") -> None:
        """Let senders through or not, and say it where it changes."""
        if connected:
            self._up.set()
        elif self._up.is_set():
            self._up.clear()
            self._lost.note()
        self._metrics.link_up.set(connected)
        before, self._told_up = self._told_up, connected
        if connected and not before:
            self._say_found(is_first=before is None)
        elif not connected and before is not False:
            self._lost_ns = self._clock.ns()
            if not self._worker.stopping:
                state = "lost" if before else "not there"
                log.warning(
                    "the hub is %s, by %s: %s; tried until it answers", state, cause, detail
                )
                self._told_refused = cause == _REFUSED
        elif not connected and cause == _REFUSED and not self._told_refused:
            log.warning("the hub refuses this module: %s", detail)
            self._told_refused = True
        if connected != before and (connected or before):
            self._on_event(LinkChanged(connected))

    def _say_found(self, *, is_first: bool) -> None:
        if is_first:
            log.info("connected to the hub")
            return
        lost_s = (self._clock.ns() - self._lost_ns) / 1e9
        log.info("connected to the hub again after %.1f s", lost_s)
        self._told_refused = False


class _Losses:
    """How often the link was lost, for threads that wait for the next time."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def note(self) -> None:
        """It is lost."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_beyond(self, count: int, timeout_s: float) -> bool:
        """True if there have been more than `count`, at the latest in `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count > count, timeout_s)


class _Liveness:
    """Reads the twin when it is wanted, or has not been read for long. For one thread."""

    def __init__(self, every_s: float, clock: Clock, rng: random.Random) -> None:
        self._every_s = every_s
        self._clock = clock
        self._rng = rng
        self._due_ns = clock.ns()
        self._pauses = Backoff(1.0, 15.0, rng)
        self.failures = 0

    def keep(self, session: Session, watch: Watch) -> float:
        """Read the twin if it is time; returns the seconds to its next time.

        Raises:
            UplinkAuthFailed: the session has lost its credentials.
        """
        if watch.twin_wanted or self._clock.ns() >= self._due_ns:
            watch.twin_wanted = False
            try:
                document = session.read_twin()
            except UplinkUnavailable as error:
                # Else it is told with the end of the session.
                if watch.cause is None:
                    log.info("the twin cannot be read: %s", error)
                watch.twin_wanted = True
                self.failures += 1
                return self._pauses.next_s()
            self.failures = 0
            self._pauses.reset()
            watch.on_event(document)
            # A fleet that started together must not read its twins together.
            every_s = self._every_s * (0.9 + 0.2 * self._rng.random())
            self._due_ns = self._clock.ns() + round(every_s * 1e9)
        return max(0.0, (self._due_ns - self._clock.ns()) / 1e9)
