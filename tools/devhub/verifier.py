"""The cloud's verifier, played on this machine: answers escalations by direct method.

It stands where a function app and a Vision API stand in production. For every `escalation/1`
message it waits as long as those would take, asks an oracle what is really in the picture, and
calls `applyVerdict` with `{"verdicts": [...]}`. Verdicts that cannot be delivered (module away,
hub cut, cloud silent) are kept and tried again, with a growing pause, until the escalation
expires; a module that connects or subscribes, or a change of the faults, ends
the pause.

An escalation is answered once. If the module sends it again after that, because no verdict reached
it, the same verdict is delivered again, under the same `verdict_id`.

One thread does everything but receiving. Escalations wait with their pictures, so they are few
(`max_waiting`); verdicts are small and may be many. What falls out is counted, and a module that
got no verdict sends its escalation again.
"""

import datetime as dt
import heapq
import itertools
import logging
import threading
import time
from collections import Counter, OrderedDict
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from devhub.errors import HubClosed, MethodTimeout, ModuleNotConnected
from devhub.events import HubEvent
from devhub.hub import DevHub
from devhub.identity import MethodResponse
from devhub.ledger import DeviceMessage
from devhub.twin import JsonObject, to_json
from devhub.verdicts import (
    InvalidEscalation,
    Oracle,
    Sighting,
    build_verdict,
    confirm,
    expires_at,
    parse_escalation,
)

__all__ = ["Oracle", "Sighting", "Verifier", "VerifierCounts", "confirm"]

_LOG = logging.getLogger("devhub.verifier")
_NAME, _VERSION = "devhub", "1"
_MAX_BATCH_BYTES = 100 * 1024
_CALL_GRACE_S = 10.0
_CLOSE_TIMEOUT_S = 10.0
_MERGED = 200
_TOO_LARGE = 413
_WAKING = frozenset(("connected", "subscribed", "faults"))
_TRY_AGAIN = frozenset((404, 408, 429, 500, 502, 503, 504))


@dataclass(slots=True)
class VerifierCounts:
    """What became of the escalations.

    Attributes:
        received: Valid escalations, repetitions included.
        repeated: Escalations whose id was known already.
        invalid: Messages on the output that are no escalation.
        overflowed: Escalations dropped because too many waited or were remembered.
        oracle_errors: Times that the oracle raised; answered `unverified`.
        delivered: Verdicts that the module answered with 200, repetitions included.
        failed: Verdicts that the module refused for good.
        expired: Verdicts whose escalation expired before they could be delivered.
        retries: Calls that are to be made again.
        statuses: What the module answered in `status`, counted.
    """

    received: int = 0
    repeated: int = 0
    invalid: int = 0
    overflowed: int = 0
    oracle_errors: int = 0
    delivered: int = 0
    failed: int = 0
    expired: int = 0
    retries: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class _Case:
    """One escalation on its way to a delivered verdict."""

    id: str
    module_id: str
    expires_at: dt.datetime
    escalation: JsonObject | None
    verdict: JsonObject | None = None
    settled: bool = False


class Verifier:
    """Answers the escalations of a hub's modules, from `start` to `close`.

    Args:
        hub: A started hub.
        oracle: Asked once for each escalation, in one thread.
        delay_s: How long the cloud takes from receiving a message to having a verdict.
        output: The output that escalations come on.
        method: The direct method that takes verdicts.
        batch: How many verdicts are delivered in one call at most.
        method_timeout_s: How long a call may take.
        retry_first_s: The pause after a failed call; doubles up to `retry_most_s`.
        max_waiting: How many escalations may wait for their delay, with their pictures.
        max_remembered: How many ids and verdicts are remembered, to answer a repetition.
    """

    def __init__(
        self,
        hub: DevHub,
        oracle: Oracle,
        *,
        delay_s: float = 0.5,
        output: str = "escalation",
        method: str = "applyVerdict",
        batch: int = 16,
        method_timeout_s: float = 10.0,
        retry_first_s: float = 0.2,
        retry_most_s: float = 5.0,
        max_waiting: int = 256,
        max_remembered: int = 10_000,
    ) -> None:
        self._hub = hub
        self._oracle = oracle
        self._delay_s = delay_s
        self._output = output
        self._method = method
        self._batch = batch
        self._method_timeout_s = method_timeout_s
        self._retry_first_s = retry_first_s
        self._retry_most_s = retry_most_s
        self._max_waiting = max_waiting
        self._max_remembered = max_remembered
        self._counts = VerifierCounts()
        self._cases: OrderedDict[str, _Case] = OrderedDict()
        self._waiting: list[tuple[float, int, _Case]] = []
        self._ready: OrderedDict[str, _Case] = OrderedDict()
        self._numbers = itertools.count()
        self._pause_s = 0.0
        self._not_before = 0.0
        self._wakes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._call: Future[MethodResponse] | None = None
        self._asking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="devhub-oracle")
        self._thread = threading.Thread(target=self._work, name="devhub-verifier", daemon=True)

    @property
    def counts(self) -> VerifierCounts:
        """A copy of the counts as they are now."""
        with self._changed:
            return replace(self._counts, statuses=Counter(self._counts.statuses))

    @property
    def pending(self) -> int:
        """Escalations that have no delivered verdict yet and may still get one."""
        with self._changed:
            return sum(not case.settled for case in self._cases.values())

    def start(self) -> Self:
        """Starts to answer; a verifier is started once."""
        self._hub.on_message(self._receive)
        self._hub.on_event(self._event)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stops at once; what is not delivered is dropped."""
        with self._changed:
            self._closing = True
            if self._call:
                self._call.cancel()
            self._changed.notify_all()
        self._thread.join(_CLOSE_TIMEOUT_S)
        self._asking.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # In the hub's callback thread.

    def _receive(self, message: DeviceMessage) -> None:
        if message.output != self._output:
            return
        try:
            escalation = parse_escalation(message.body)
        except InvalidEscalation as error:
            _LOG.warning("message %r on %r: %s", message.id, message.output, error)
            with self._changed:
                self._counts.invalid += 1
            return
        with self._changed:
            self._counts.received += 1
            self._admit(escalation, message.module_id)
            self._changed.notify_all()

    def _admit(self, escalation: JsonObject, module_id: str) -> None:
        case = self._cases.get(escalation["id"])
        if case:
            self._counts.repeated += 1
            if case.settled:
                case.settled = False
                case.expires_at = expires_at(escalation)
                self._wait(case)
        elif len(self._waiting) >= self._max_waiting:
            self._counts.overflowed += 1
        else:
            when = expires_at(escalation)
            case = _Case(escalation["id"], module_id, when, escalation)
            self._cases[case.id] = case
            self._wait(case)
            while len(self._cases) > self._max_remembered:
                self._forget(self._cases.popitem(last=False)[1])

    def _forget(self, case: _Case) -> None:
        self._counts.overflowed += not case.settled
        self._settle([case])

    def _wait(self, case: _Case) -> None:
        due = time.monotonic() + self._delay_s
        heapq.heappush(self._waiting, (due, next(self._numbers), case))

    def _event(self, event: HubEvent) -> None:
        if event.kind in _WAKING:
            with self._changed:
                self._wakes += 1
                self._pause_s = self._not_before = 0.0
                self._changed.notify_all()

    # In the verifier's thread.

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._something_to_do():
                    self._changed.wait(self._next_due_s())
                if self._closing:
                    return
                due = self._take_due()
            for case in due:
                self._judge(case)
            try:
                self._deliver()
            except HubClosed:
                return

    def _next_due_s(self) -> float | None:
        moments = [self._waiting[0][0]] if self._waiting else []
        if self._ready:
            moments.append(self._not_before)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _something_to_do(self) -> bool:
        left_s = self._next_due_s()
        return self._closing or (left_s is not None and left_s <= 0)

    def _take_due(self) -> list[_Case]:
        due = []
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            case = heapq.heappop(self._waiting)[2]
            if not case.settled:
                due.append(case)
        return due

    def _judge(self, case: _Case) -> None:
        if case.escalation is not None:
            asked = self._asking.submit(self._ask, case.escalation)
            failure = asked.exception()
            if failure:
                _LOG.error("the oracle failed on %s", case.id, exc_info=failure)
                case.verdict = build_verdict(case.escalation, None, _NAME, _VERSION)
            else:
                case.verdict = asked.result()
            case.escalation = None
            with self._changed:
                self._counts.oracle_errors += failure is not None
        with self._changed:
            self._ready[case.id] = case

    def _ask(self, escalation: JsonObject) -> JsonObject:
        verdict = build_verdict(escalation, self._oracle(escalation), _NAME, _VERSION)
        to_json(verdict)  # An oracle that answers NaN fails here, not on the wire.
        return verdict

    def _deliver(self) -> None:
        with self._changed:
            batch = self._next_batch()
            if not batch or time.monotonic() < self._not_before or self._closing:
                return
            wakes = self._wakes
            self._call = self._hub.start_method(
                self._method,
                {"verdicts": [case.verdict for case in batch]},
                self._method_timeout_s,
                batch[0].module_id,
            )
        status, answer = self._outcome(self._call)
        with self._changed:
            self._call = None
            if status == _MERGED:
                self._settle(batch)
                self._counts.delivered += len(batch)
                self._counts.statuses.update(_statuses(answer))
                self._pause_s = self._not_before = 0.0
            elif status in _TRY_AGAIN:
                self._counts.retries += 1
                if wakes == self._wakes:
                    self._pause()
            else:
                _LOG.warning("%s answered %s: %s", self._method, status, answer)
                self._settle(batch)
                self._counts.failed += len(batch)

    def _next_batch(self) -> list[_Case]:
        """The oldest verdicts for one module that fit into one call; drops the expired."""
        now = dt.datetime.now(dt.UTC)
        expired = [case for case in self._ready.values() if case.expires_at <= now]
        self._settle(expired)
        self._counts.expired += len(expired)
        batch: list[_Case] = []
        size = 0
        for case in self._ready.values():
            if batch and case.module_id != batch[0].module_id:
                continue
            size += len(to_json(case.verdict))
            if len(batch) == self._batch or (batch and size > _MAX_BATCH_BYTES):
                break
            batch.append(case)
        return batch

    def _settle(self, cases: list[_Case]) -> None:
        for case in cases:
            case.settled = True
            self._ready.pop(case.id, None)

    def _pause(self) -> None:
        self._pause_s = min(max(self._retry_first_s, 2 * self._pause_s), self._retry_most_s)
        self._not_before = time.monotonic() + self._pause_s

    def _outcome(self, call: Future[MethodResponse]) -> tuple[int, object]:
        try:
            response = call.result(self._method_timeout_s + _CALL_GRACE_S)
        except (ModuleNotConnected, MethodTimeout) as error:
            return error.status, str(error)
        except (TimeoutError, CancelledError):
            return MethodTimeout.status, "the call was given up"
        except ValueError as error:
            return _TOO_LARGE, str(error)
        return response.status, response.payload


def _statuses(answer: object) -> list[str]:
    """What the module says about each verdict: `{"status"}` or `{"results": [{"status"}]}`."""
    if not isinstance(answer, dict):
        return []
    results = answer.get("results", [answer])
    return [
        str(each["status"])
        for each in (results if isinstance(results, list) else [])
        if isinstance(each, dict) and "status" in each
    ]
