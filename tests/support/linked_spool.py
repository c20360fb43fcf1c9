"""Spool, sender and the real SDK's client, wired as the app does it, with little patience."""

from pathlib import Path
from typing import Final

from tests.support.envelopes import envelope
from tests.support.hub_sides import WAIT_S, Events

from devhub import DevHub
from visionedge.entities import Kind
from visionedge.metrics import Metrics
from visionedge.runtime.backoff import Backoff
from visionedge.uplink import azure_hub
from visionedge.uplink.azure_hub import Deadlines
from visionedge.uplink.hub import DesiredDocument, HubEvent, LinkChanged
from visionedge.uplink.link import Link
from visionedge.uplink.sender import Pacing, Sender
from visionedge.uplink.spool import Spool
from visionedge.uplink.supervisor import Patience

SHORT: Final = Deadlines(create_s=1.5, connect_s=1, twin_s=0.6, send_s=0.6, report_s=0.6)
QUICK: Final = Patience(first_pause_s=0.05, most_pause_s=0.2, lost_s=1, close_s=1)


class LinkedSpool:
    """What a module sends with, and nothing else of it."""

    def __init__(self, folder: Path, *, window: int = 100, token_ttl_s: int = 3600) -> None:
        self.metrics = Metrics()
        self.events = Events()
        self.spool = Spool(
            folder / "spool.db", max_bytes=10**8, max_age_s=10**6, metrics=self.metrics
        )
        self.hub = azure_hub.build(
            self.metrics,
            deadlines=SHORT,
            patience=QUICK,
            retry_interval_s=1,
            token_ttl_s=token_ttl_s,
        )
        self.sender = Sender(
            self.spool,
            self.hub,
            Link(120),
            self.metrics,
            Pacing(window, 120),
            backoff=Backoff(0.05, 0.2),
        )
        self.sent = 0

    def start(self) -> None:
        self.hub.start(self._take)
        self.sender.start()

    def connect(self) -> None:
        self.start()
        self.events.wait(lambda event: isinstance(event, DesiredDocument))

    def put(self, count: int, kind: Kind = Kind.ESCALATION) -> set[str]:
        """Put so many messages, the size of a picture, and return their ids."""
        ids = {f"{kind}-{self.sent + i}" for i in range(count)}
        self.sent += count
        for id_ in ids:
            self.spool.put(envelope(kind, id=id_, body=b"x" * 20_000))
        return ids

    def rebuilt(self) -> set[str]:
        return set(self.metrics.counts("visionedge_link_rebuilt_total", "cause"))

    def close(self) -> None:
        self.sender.stop(2)
        self.hub.close(10)
        self.spool.close()

    def _take(self, event: HubEvent) -> None:
        self.events(event)
        if event == LinkChanged(connected=True):
            self.sender.connected()


def arrives(devhub: DevHub, ids: set[str]) -> None:
    """All of them, each once after duplicates are removed by id."""
    devhub.wait(lambda: ids <= set(devhub.ids("escalation")), WAIT_S, "every escalation")
