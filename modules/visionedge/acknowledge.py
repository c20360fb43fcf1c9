"""Delivers reported properties, in a thread of its own.

A hub that does not answer a twin patch keeps the caller for up to a minute; verdicts and
further patches must not wait behind that. So the control thread only leaves the newest
patch here, and asks later whether it has arrived. A newer patch replaces one of its topic
that waits: each is made to be right on top of whatever the hub may have. Topics go as
patches of their own, so that each stays below what a hub takes.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any, Final, Literal

from visionedge.errors import UplinkDown, UplinkError, UplinkRejected
from visionedge.metrics import Metrics
from visionedge.runtime.backoff import Backoff
from visionedge.runtime.worker import Worker
from visionedge.uplink.hub import HubClient

log: Final = logging.getLogger(__name__)
_IDLE_S: Final = 1.0
_STUCK_AFTER_S: Final = 200.0
Patch = Mapping[str, Any]
Topic = Literal["settings", "facts"]
_ORDER: Final[tuple[Topic, ...]] = ("settings", "facts")
"""Answers to the operator first."""


class Acknowledger:
    """Delivers the newest patch until the hub has it. Safe for all threads.

    Args:
        hub: where patches go.
        first: delivered once before everything else, such as what takes away the words of
            an earlier process.
    """

    def __init__(self, hub: HubClient, metrics: Metrics, first: Patch) -> None:
        self._hub = hub
        self._first: Patch | None = first
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._waiting: dict[Topic, Patch] = {}
        self._delivered: dict[Topic, Patch] = {}
        self._backoff = Backoff(first_s=1.0, max_s=60.0)
        self._failing = False
        self.worker = Worker(
            "acknowledger",
            self._run,
            stuck_after_s=_STUCK_AFTER_S,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    def put(self, patch: Patch, topic: Topic = "settings") -> None:
        """Deliver `patch`, and nothing older of its topic."""
        with self._lock:
            self._waiting[topic] = patch
        self._wake.set()

    def connected(self) -> None:
        """The hub is there again: try at once."""
        self._wake.set()

    def has_delivered(self, patch: Patch) -> bool:
        """True once the hub has this very patch."""
        return any(patch is delivered for delivered in list(self._delivered.values()))

    def is_waiting(self, patch: Patch) -> bool:
        """True until the hub has this very patch, has refused it, or a newer one came."""
        with self._lock:
            return any(patch is waiting for waiting in self._waiting.values())

    def stop(self, timeout_s: float) -> None:
        """End; what waits is made anew after the next start."""
        self.worker.request_stop()
        self._wake.set()
        self.worker.stop(timeout_s)

    def _run(self, worker: Worker) -> None:
        pause_s = _IDLE_S
        while not worker.stopping:
            worker.beat()
            self._wake.wait(pause_s)
            self._wake.clear()
            pause_s = self._deliver()

    def _deliver(self) -> float:
        """Try once; returns how long to wait before the next try."""
        with self._lock:
            topic = next((topic for topic in _ORDER if topic in self._waiting), None)
            if topic is None:
                return _IDLE_S
            patch = self._waiting[topic]
        try:
            if self._first is not None:
                self._hub.report(self._first)
                self._first = None
            self._hub.report(patch)
        except UplinkRejected as error:
            log.error(
                "the hub refuses the reported %s: the twin keeps what it had there, and the direct "
                "method `diagnostics` tells what is: %s",
                ", ".join(patch),
                error,
            )
        except UplinkError as error:
            if not self._failing and not isinstance(error, UplinkDown):
                log.warning("the twin cannot be answered, tried again and again: %s", error)
                self._failing = True
            return self._backoff.next_s()
        else:
            self._delivered[topic] = patch
            if self._failing:
                log.info("the twin is answered again")
            self._failing = False
        self._backoff.reset()
        with self._lock:
            if self._waiting.get(topic) is patch:
                del self._waiting[topic]
        return 0.0
