"""The control thread: what the hub says becomes settings, answers and resolutions, in order.

All events of the hub meet here, one after the other, off the SDK's threads: so patches are
folded in the order of their versions, a verdict is settled while no setting changes, and a
slow model swap holds up the next patch, not the link.

A new desired document is planned, prepared, swapped in and acknowledged, whole or not at
all; where preparing fails (a model that does not load) it is refused with that reason.
"""

import logging
from typing import Final, Protocol

from visionedge.acknowledge import Acknowledger
from visionedge.errors import SettingsError
from visionedge.methods import Methods
from visionedge.metrics import Metrics
from visionedge.runtime.worker import Worker
from visionedge.settings import Document, Settings
from visionedge.twin import (
    Accepted,
    Answer,
    DesiredState,
    Folded,
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


class Control:
    """Handles the hub's events until stopped.

    Args:
        layers: sources of settings below the twin.
        target: who applies settings.
        inbox: where events come from.
        hub: asked to read the twin again.
        sender: told of receipts and reconnects.
        acknowledger: delivers the answers to the twin.
        methods: answers direct methods.
    """

    def __init__(
        self,
        layers: list[Document],
        target: Applies,
        inbox: Inbox,
        hub: HubClient,
        sender: Sender,
        acknowledger: Acknowledger,
        methods: Methods,
        metrics: Metrics,
    ) -> None:
        self._layers = layers
        self._target = target
        self._inbox = inbox
        self._hub = hub
        self._sender = sender
        self._acknowledger = acknowledger
        self._methods = methods
        self._metrics = metrics
        self._desired = DesiredState()
        self._reported = ReportedState()
        self._patch: Document | None = None
        """The last acknowledgement, until the hub has it."""
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
            if self._patch is not None and self._acknowledger.has_delivered(self._patch):
                self._reported.delivered()
                self._patch = None

    def _handle(self, event: HubEvent) -> None:
        match event:
            case MethodCall():
                self._sender.receipt()
                answer = self._methods.call(event.name, event.payload)
                event.answer(answer.status, answer.payload)
            case DesiredDocument():
                self._fold(self._desired.replace(event.properties, event.version))
            case DesiredPatch():
                # A patch is pushed from the cloud; a document may be edgeHub's own copy.
                self._sender.receipt()
                self._fold(self._desired.patch(event.properties, event.version))
            case LinkChanged():
                if event.connected:
                    self._sender.connected()
                    self._acknowledger.connected()

    def _fold(self, folded: Folded) -> None:
        if folded is Folded.REREAD:
            log.info("a desired patch was missed, the whole document is read again")
            self._hub.refresh_twin()
        elif folded is Folded.APPLIED:
            self._decide()

    def _decide(self) -> None:
        answer = plan([*self._layers, self._desired.document], self._target.settings)
        if isinstance(answer, Accepted) and answer.changed:
            answer = self._apply(answer)
        if isinstance(answer, Refused):
            log.error("desired version %s refused: %s", self._desired.version, _listed(answer))
            self._metrics.twin_patches.labels("refused").inc()
        else:
            log.info("desired version %s is in use", self._desired.version)
            self._metrics.twin_patches.labels("applied").inc()
        self._patch = self._reported.acknowledge(self._desired, answer, self._target.settings)
        self._acknowledger.put(self._patch)

    def _apply(self, accepted: Accepted) -> Answer:
        try:
            self._target.apply(accepted.settings)
        except SettingsError as error:
            return Refused(error.fields or {"": str(error)})
        return accepted


def _listed(refused: Refused) -> str:
    return "; ".join(f"{path}: {reason}" for path, reason in refused.fields.items())
