"""Direct mode's seam: a hub whose escalations go to a Vision API, and all else to the hub below.

It is a `HubClient`, so nothing else of the module knows of it: escalations come through the same
spool and window, and wait for their verdict. A line of the egress ledger is on the disk before a
picture is sent; one that is never sent, because the budget is spent, has no line. The verdict
comes in as the method `applyVerdict` does, and is settled by the control thread like any other.
What is asked lives in memory here; after a restart the sender sends it again when its answer's
time is over, and the verifier's own ledger sees that nothing is paid for twice.

While no answer can be had, or the key is refused, escalations wait here as they would wait in the
cloud: the window fills, the rest stays in the spool, and frames go on.

Not promised: that the API is asked in order of value. The sender's order holds as long as
everything is answered at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from visionedge.entities import Envelope, Kind
from visionedge.errors import UplinkUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.worker import Worker
from visionedge.uplink.egress import EgressLedger
from visionedge.uplink.hub import HubClient, MethodCall, OnEvent

log: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.5
_ANSWER_S: Final = 10.0
_STUCK_AFTER_S: Final = 300.0
"""More than the verifier tries for one answer."""
_BUSY: Final = 503
_AFTER_FAULT_S: Final = 60.0
"""A message on which the verifier fails is passed over for so long: those behind it are good."""


class OwnVerifier(Protocol):
    """Somebody who asks a Vision API about messages."""

    @property
    def destination(self) -> str:
        """Where pictures go, for the egress ledger."""

    def handle(self, body: bytes, leaves: Callable[[], None]) -> float:
        """Take a message as far as it goes now.

        Args:
            body: an escalation, or a query about some.
            leaves: called each time before the picture is sent; where it raises OSError the
                picture must not be sent now.

        Returns:
            0 when it is done; else the seconds after which it is worth handing in again.
        """

    def deliver(self, apply: Callable[[Mapping[str, Any]], int]) -> None:
        """Call `apply` with verdicts that are ready; it returns the status of the method."""

    def stop(self) -> None:
        """End every pause; what is under way is given up. For any thread."""

    def close(self) -> None:
        """Let go of everything; nothing is called after."""


@dataclass(slots=True)
class _Waiting:
    envelope: Envelope
    not_before_s: float = 0.0


class DirectHub:
    """A `HubClient` around another one.

    Args:
        hub: for everything but escalations.
        verifier: for those.
        ledger: told of each picture that leaves.
        metrics: counts crashes of the worker.
    """

    def __init__(
        self, hub: HubClient, verifier: OwnVerifier, ledger: EgressLedger, metrics: Metrics
    ) -> None:
        self._hub = hub
        self._ledger = ledger
        self._verifier = verifier
        self._on_event: OnEvent | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._arrived = threading.Condition()
        self._worker = Worker(
            "direct",
            self._run,
            stuck_after_s=_STUCK_AFTER_S,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    @property
    def workers(self) -> list[Worker]:
        """As `HubClient.workers`."""
        return [*self._hub.workers, self._worker]

    def start(self, on_event: OnEvent) -> None:
        """As `HubClient.start`."""
        self._on_event = on_event
        self._hub.start(on_event)
        self._worker.start()

    def send(self, envelope: Envelope) -> None:
        """As `HubClient.send`; an escalation, or a query about one, is taken to be asked about."""
        if envelope.kind is not Kind.ESCALATION and not _is_query(envelope):
            self._hub.send(envelope)
            return
        if self._on_event is None:
            raise UplinkUnavailable("direct mode is not running")
        with self._arrived:
            self._waiting.setdefault(envelope.id, _Waiting(envelope))
            self._arrived.notify_all()

    def report(self, patch: Mapping[str, Any]) -> None:
        """As `HubClient.report`."""
        self._hub.report(patch)

    def refresh_twin(self) -> None:
        """As `HubClient.refresh_twin`."""
        self._hub.refresh_twin()

    def close(self, timeout_s: float) -> None:
        """As `HubClient.close`."""
        deadline_s = time.monotonic() + timeout_s
        self._on_event = None
        self._worker.request_stop()
        self._verifier.stop()
        with self._arrived:
            self._arrived.notify_all()
        if self._worker.stop(timeout_s / 2):
            self._verifier.close()
        self._hub.close(max(0.0, deadline_s - time.monotonic()))

    def _run(self, worker: Worker) -> None:
        while not worker.stopping:
            worker.beat()
            due = self._due()
            if due is not None:
                self._ask(*due)
            self._verifier.deliver(self._apply)

    def _ask(self, id_: str, waiting: _Waiting) -> None:
        def leaves() -> None:
            self._ledger.leaves(waiting.envelope, self._verifier.destination)

        waiting.not_before_s = time.monotonic() + _AFTER_FAULT_S
        again_s = self._verifier.handle(waiting.envelope.body, leaves)
        with self._arrived:
            if again_s > 0:
                waiting.not_before_s = time.monotonic() + again_s
            else:
                self._waiting.pop(id_, None)

    def _due(self) -> tuple[str, _Waiting] | None:
        """The message that has waited longest of those that may be tried, if one comes soon."""
        with self._arrived:
            if (due := self._first()) is None:
                self._arrived.wait(_POLL_S)
                due = self._first()
            return due

    def _first(self) -> tuple[str, _Waiting] | None:
        now_s = time.monotonic()
        due = ((id_, each) for id_, each in self._waiting.items() if each.not_before_s <= now_s)
        return next(due, None)

    def _apply(self, payload: Mapping[str, Any]) -> int:
        if (on_event := self._on_event) is None:
            return _BUSY
        call = MethodCall("applyVerdict", payload)
        on_event(call)
        return call.wait(_ANSWER_S).status


def _is_query(envelope: Envelope) -> bool:
    return envelope.properties.get("schema", "").startswith("verdict-query/")
