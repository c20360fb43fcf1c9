"""The way up and down, put together: hub, inbox, sender, acknowledger, control.

Imported and started after the first decision, because with the device SDK it is two thirds of
all imports; stopped last, because what the others leave behind goes out through it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from visionedge.acknowledge import Acknowledger
from visionedge.cameras.feeds import Feed
from visionedge.control import Applies, Control
from visionedge.direct import check_direct, with_verifier
from visionedge.inputs import Inputs
from visionedge.methods import Methods, Operated
from visionedge.metrics import Metrics
from visionedge.runtime.worker import Worker
from visionedge.settings import Document, LastGood, Settings, UplinkSettings
from visionedge.telemetry import Telemetry
from visionedge.twin import FORGET, DesiredState
from visionedge.uplink.archive import Archive
from visionedge.uplink.egress import EgressLedger, RecordedHub
from visionedge.uplink.hub import HubEvent, InputMessage
from visionedge.uplink.inbox import Inbox
from visionedge.uplink.link import Link
from visionedge.uplink.registry import check_next, choose
from visionedge.uplink.sender import Pacing, Sender
from visionedge.uplink.spool import Spool

_STOP_S: Final = 1.0
"""For each part that only has to notice."""


class Owner(Applies, Operated, Protocol):
    """What the link needs of the app."""

    @property
    def metrics(self) -> Metrics:
        """All series."""

    @property
    def telemetry(self) -> Telemetry:
        """Told of resolutions."""

    @property
    def link(self) -> Link:
        """The measured state."""

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """The cameras that there are now."""

    def give_up(self, reason: str) -> None:
        """End the process, to be restarted."""


class Linkup:
    """Everything between the spool and the hub.

    Args:
        owner: the app.
        layers: sources of settings below the twin.
        spool: what goes up.
        desired: the hub's document, as far as an earlier process has left it.
        last_good: where a document that was taken is kept.
        environment: of the process, to choose the hub by.

    Raises:
        SettingsError: the settings ask for a hub that this environment does not name, or for a
            Vision API that cannot be asked.
    """

    def __init__(
        self,
        owner: Owner,
        layers: list[Document],
        spool: Spool,
        desired: DesiredState,
        last_good: LastGood,
        environment: Mapping[str, str],
    ) -> None:
        metrics, uplink = owner.metrics, owner.settings.uplink
        self._uplink, self._environment = uplink, environment
        egress = owner.settings.egress
        ledger = EgressLedger(Path(egress.path), egress.max_bytes)
        hub = RecordedHub(choose(uplink, environment, metrics, owner.give_up), ledger)
        self._hub, self.direct = with_verifier(hub, owner.settings.direct, layers, ledger, metrics)
        spool.tell_settled(ledger.note)
        self._inbox = Inbox(self._hub.refresh_twin)
        self._inputs = Inputs(lambda: owner.feeds, self._hub.send, metrics)
        self._sender = Sender(spool, self._hub, owner.link, metrics, _pacing(uplink))
        self._acknowledger = Acknowledger(self._hub, metrics, FORGET)
        self._control = Control(
            layers,
            owner,
            desired,
            last_good,
            self._inbox,
            self._hub,
            self._sender,
            self._acknowledger,
            Methods(
                spool,
                owner.telemetry,
                owner,
                layers,
                desired,
                self._sender.flush,
                Archive(lambda: owner.settings.escalation.archive),
            ),
            metrics,
        )

    @property
    def workers(self) -> list[Worker]:
        """The threads, for the health check."""
        parts = (self._sender, self._inputs, self._acknowledger, self._control)
        return [part.worker for part in parts] + self._hub.workers

    def start(self) -> None:
        """Connect, and begin to send and to listen."""
        self._control.worker.start()
        self._acknowledger.worker.start()
        self._inputs.worker.start()
        self._hub.start(self._take)
        self._sender.start()

    def check(self, settings: Settings) -> None:
        """See that the link could do what these settings ask of it.

        Raises:
            SettingsError: it could not; the field is named.
        """
        check_direct(settings.direct)
        if settings.uplink != self._uplink:
            check_next(settings.uplink, self._uplink, self._environment)

    def pace(self, uplink: UplinkSettings, paused_until: datetime | None) -> None:
        """Use what a twin may change of the link.

        Args:
            uplink: the window and its patience.
            paused_until: UTC, until when escalations are kept; None sends them.
        """
        pacing = replace(_pacing(uplink), paused_until=paused_until)
        if pacing != self._sender.pacing:
            self._sender.pacing = pacing
            self._sender.look()

    def stop(self, timeout_s: float) -> None:
        """Send what can be sent within `timeout_s`, then let go of the hub."""
        self._inputs.stop(min(_STOP_S, timeout_s))
        self._sender.stop(max(0.0, timeout_s - 2 * _STOP_S))
        self._inbox.close()
        self._control.worker.stop(_STOP_S)
        self._acknowledger.stop(0.2)
        self._hub.close(_STOP_S)

    def _take(self, event: HubEvent) -> None:
        # Frames do not wait behind a change of settings: the control thread never sees them.
        if isinstance(event, InputMessage):
            self._inputs.take(event)
        else:
            self._inbox.offer(event)


def _pacing(uplink: UplinkSettings) -> Pacing:
    return Pacing(uplink.window, uplink.answer_timeout_s)
