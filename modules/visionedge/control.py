"""The control thread: what the hub says becomes settings, answers and resolutions, in order.

All events of the hub meet here, one after the other, off the SDK's threads: so patches are
folded in the order of their versions, a verdict is settled while no setting changes, and a
slow model swap holds up the next patch, not the link.

A new desired document is planned, prepared, swapped in and acknowledged, whole or not at
all; where preparing fails (a model that does not load) it is refused with that reason. Of
patches that wait one behind the other only what they come to is put into effect: to open a
camera anew for each would leave it blind meanwhile, and the module deaf. What
was taken is kept on disk for a start without the hub. What of it does not act yet, because
it needs a new process or a model that is still on its way, is answered so, and answered
again when that changes.
"""

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from visionedge.acknowledge import Acknowledger
from visionedge.errors import SettingsError
from visionedge.facts import FactsReport
from visionedge.methods import Methods
from visionedge.metrics import Metrics
from visionedge.runtime.worker import Worker
from visionedge.settings import Document, LastGood, Settings
from visionedge.twin import (
    Accepted,
    Answer,
    DesiredState,
    Folded,
    OpenEnd,
    Refused,
    ReportedState,
    plan,
)
from visionedge.uplink.hub import (
    DesiredDocument,
    DesiredPatch,
    HubClient,
    HubEvent,
    LinkChanged,
    MethodCall,
)
from visionedge.uplink.inbox import Inbox
from visionedge.uplink.sender import Sender

log: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.5
_STUCK_AFTER_S: Final = 300.0
"""Loading a large model on a small device takes minutes."""
_MOST_OVERTAKEN: Final = 8


@dataclass(frozen=True, slots=True)
class _Overtaken:
    planned: Accepted
    document: Document
    version: int | None
    title: str


class Applies(Protocol):
    """Who can put settings into effect: the app."""

    @property
    def settings(self) -> Settings:
        """Those in use."""

    def apply(self, settings: Settings) -> None:
        """Use `settings` from now on.

        Raises:
            SettingsError: they cannot be used; those in use stay.
        """

    def advance(self) -> None:
        """Take the next step of whatever takes time, such as a model on trial; quick."""

    def open_ends(self) -> tuple[OpenEnd, ...]:
        """What of the settings in use does not act yet."""

    def facts(self) -> Document:
        """What is reported of the module beside the answers."""


class Control:
    """Handles the hub's events until stopped.

    Args:
        layers: sources of settings below the twin.
        target: who applies settings.
        desired: the hub's document, as far as it is known.
        last_good: where a document that was taken is kept.
        inbox: where events come from.
        hub: asked to read the twin again.
        sender: told of receipts and reconnects.
        acknowledger: delivers the answers to the twin.
        methods: answers direct methods.
        facts: keeps what the twin was told unasked.
    """

    def __init__(
        self,
        layers: list[Document],
        target: Applies,
        desired: DesiredState,
        last_good: LastGood,
        inbox: Inbox,
        hub: HubClient,
        sender: Sender,
        acknowledger: Acknowledger,
        methods: Methods,
        metrics: Metrics,
        facts: FactsReport | None = None,
    ) -> None:
        self._layers = layers
        self._target = target
        self._last_good = last_good
        self._inbox = inbox
        self._hub = hub
        self._sender = sender
        self._acknowledger = acknowledger
        self._methods = methods
        self._metrics = metrics
        self._desired = desired
        self._reported = ReportedState()
        self._facts = facts or FactsReport()
        self._answer: Answer | None = None
        """To the document that is known, once it was answered."""
        self._undecided = False
        """Whether the document has changed since."""
        self._overtaken = deque[_Overtaken](maxlen=_MOST_OVERTAKEN)
        """The documents since then that nothing spoke against, and more came behind."""
        self._open_ends: tuple[OpenEnd, ...] = ()
        self._patch: Document | None = None
        """The last acknowledgement, until the hub has it."""
        self._facts_patch: Document | None = None
        self.worker = Worker(
            "control",
            self._run,
            stuck_after_s=_STUCK_AFTER_S,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    def _run(self, worker: Worker) -> None:
        while not worker.stopping:
            worker.beat()
            event = self._inbox.take(_POLL_S)
            if event is not None:
                self._handle(event)
            if self._undecided and not self._inbox.twin_is_next():
                self._decide()
            self._target.advance()
            self._last_good.save_late()
            # The answer that is known is none to a document on which nobody has decided.
            if not self._undecided:
                self._report()

    def _handle(self, event: HubEvent) -> None:
        match event:
            case MethodCall():
                self._sender.receipt()
                self._answer_method(event)
            case DesiredDocument():
                if (event.version or 0) < (self._desired.version or 0):
                    # The identity was made anew, and its reported properties with it.
                    self._facts.forget()
                self._fold(self._desired.replace(event.properties, event.version))
            case DesiredPatch():
                # A patch is pushed from the cloud; a document may be edgeHub's own copy.
                self._sender.receipt()
                self._fold(self._desired.patch(event.properties, event.version))
            case LinkChanged():
                if event.connected:
                    self._sender.connected()
                    self._acknowledger.connected()

    def _answer_method(self, call: MethodCall) -> None:
        try:
            answer = self._methods.call(call.name, call.payload)
            call.answer(answer.status, answer.payload)
        finally:
            # Heard only where nothing was said: a crash must not leave the cloud waiting.
            call.answer(500, {"error": "the module failed on it; its log has more"})

    def _fold(self, folded: Folded) -> None:
        if folded is Folded.REREAD:
            log.info("a desired patch was missed, the whole document is read again")
            self._hub.refresh_twin()
        elif folded is Folded.APPLIED:
            self._undecided = True
            if self._inbox.twin_is_next():
                self._overtake()

    def _overtake(self) -> None:
        """Keep a document in mind that is used where those behind it cannot be."""
        desired = self._desired
        planned = plan([*self._layers, desired.document], self._target.settings)
        if isinstance(planned, Accepted):
            self._overtaken.append(
                _Overtaken(planned, desired.document, desired.version, desired.title)
            )

    def _decide(self) -> None:
        self._undecided = False
        # Said only where a crash keeps the answer from being given: a twin without any is a riddle.
        answer: Answer = Refused({"": "the module failed on it; its log has more"})
        try:
            answer = self._decided()
        finally:
            self._answer = answer
            self._acknowledge()

    def _decided(self) -> Answer:
        overtaken = list(self._overtaken)
        self._overtaken.clear()
        desired = self._desired
        planned = plan([*self._layers, desired.document], self._target.settings)
        answer: Answer = planned
        if isinstance(planned, Accepted) and planned.changed:
            answer = self._apply(planned)
        if isinstance(answer, Refused):
            log.error("%s refused: %s", desired.title, _listed(answer))
            self._metrics.twin_patches.labels("refused").inc()
            self._fall_back(overtaken, planned)
        else:
            self._keep(desired.title, desired.document, desired.version)
        return answer

    def _fall_back(self, overtaken: "list[_Overtaken]", refused: Answer) -> None:
        """Use the newest of the documents that were overtaken and can be used."""
        tried = [refused]
        for each in reversed(overtaken):
            # One that fails may take minutes to: not twice.
            if each.planned in tried:
                continue
            tried.append(each.planned)
            if not each.planned.changed or isinstance(self._apply(each.planned), Accepted):
                self._keep(each.title, each.document, each.version)
                return

    def _keep(self, title: str, document: Document, version: int | None) -> None:
        log.info("%s is in use", title)
        self._metrics.twin_patches.labels("applied").inc()
        self._last_good.save(document, version)

    def _apply(self, accepted: Accepted) -> Answer:
        try:
            self._target.apply(accepted.settings)
        except SettingsError as error:
            return Refused(error.fields or {"": str(error)})
        return accepted

    def _acknowledge(self) -> None:
        if self._answer is None:
            return
        self._open_ends = self._target.open_ends()
        self._patch = self._reported.acknowledge(
            self._desired, self._answer, self._target.settings, self._open_ends
        )
        self._acknowledger.put(self._patch)

    def _report(self) -> None:
        """Follow the patches that are under way, and send what has changed since."""
        if self._patch is not None and self._acknowledger.has_delivered(self._patch):
            self._reported.delivered()
            self._patch = None
            if self._reported.is_half:
                self._acknowledge()
        if self._answer is not None and self._target.open_ends() != self._open_ends:
            self._acknowledge()
        # Nothing before the first answer: that begins by taking away the words of the last process.
        if self._answer is not None:
            self._report_facts()

    def _report_facts(self) -> None:
        if self._facts_patch is not None:
            if self._acknowledger.is_waiting(self._facts_patch):
                return
            if not self._acknowledger.has_delivered(self._facts_patch):
                self._facts.refused()
        facts = {**self._target.facts()}
        facts["module"] = {**facts.get("module", {}), "desired_version": self._desired.version}
        self._facts_patch = self._facts.patch(facts)
        if self._facts_patch is not None:
            self._acknowledger.put(self._facts_patch, "facts")


def _listed(refused: Refused) -> str:
    return "; ".join(f"{path}: {reason}" for path, reason in refused.fields.items())
