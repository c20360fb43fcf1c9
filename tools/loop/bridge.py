"""IoT Hub's route to the event hub, and what goes wrong on such a way.

The route's condition is the one that `cloud/infra` deploys. A route delivers at least once, so
every third escalation goes twice. Now and then something goes along that no module of ours would
send: an escalation that has expired long ago, a body that is no JSON, a picture that is not the
one that its hash names.
"""

import datetime as dt
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo.oracle import LineOracle
from devhub.ledger import DeviceMessage
from devhub.routing import Route, stamps
from eventhub.log import Event, Stored
from loop.journal import Journal, Step
from loop.vision import VisionService

if TYPE_CHECKING:
    from eventhub.server import EventHub

_CONDITION: Final = re.compile(r"^var routeQuery = '(.*)'$", re.MULTILINE)
_TWICE: Final = 3
_SPOILED: Final = 5
LINE: Final = "line"
STALE: Final = "stale"


def deployed_condition(infra: Path) -> str:
    """The route's condition in the deployment, which is where it is decided."""
    found = _CONDITION.search(infra.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{infra} has no routeQuery")
    return found[1].replace("\\'", "'")


class Bridge:
    """Takes messages from the hub and sends to the event hub what the route takes.

    Attributes:
        spoiled: Messages sent that can never be answered.
        passed_by: Messages that the route left out, such as telemetry.
    """

    def __init__(
        self, route: Route, events: "EventHub", vision: VisionService, journal: Journal,
        oracle: LineOracle,
    ) -> None:  # fmt: skip
        self.spoiled = 0
        self.passed_by = 0
        self._route = route
        self._events = events
        self._vision = vision
        self._journal = journal
        self._oracle = oracle
        self._count = 0
        events.on_transfer(self._handed)

    def take(self, message: DeviceMessage) -> None:
        """A message came to the hub."""
        if not self._route.takes(message):
            self.passed_by += 1
            return
        event = _event(message)
        escalation = json.loads(message.body)
        if escalation["schema"].startswith("verdict-query/"):
            self._events.send(event)
            return
        if not self._begin(escalation, LINE, message.received_at):
            self._events.send(event)  # The module itself sent it again.
            return
        self._count += 1
        self._events.send(event)
        if self._count % _TWICE == 0:
            self._events.send(event)
        if self._count % _SPOILED == 1:
            self._spoil(event, escalation, message.received_at)

    def _begin(self, escalation: dict[str, Any], origin: str, sent: dt.datetime) -> bool:
        at = {
            Step.CAPTURED: _time(escalation["frame"]["captured_at"]),
            Step.SPOOLED: _time(escalation["created_at"]),
            Step.SENT: sent,
        }
        picture = escalation["image"]["sha256"]
        self._vision.know(picture, self._oracle(escalation) or ())
        return self._journal.begin(escalation["id"], origin, picture, at)

    def _spoil(self, event: Event, escalation: dict[str, Any], sent: dt.datetime) -> None:
        turn = self._count // _SPOILED % 3
        if turn == 0:
            stale = {**escalation, "id": f"{escalation['id']}-stale"}
            stale["expires_at"] = (sent - dt.timedelta(hours=1)).isoformat()
            # Its picture is the first one's, so a call for it would show there as paid again.
            self._journal.begin(stale["id"], STALE, "", {Step.SENT: sent})
            self._send(event, json.dumps(stale).encode(), stale["id"])
            return
        if turn == 1:
            body = b"{" + event.body
        else:
            image = {**escalation["image"], "sha256": hashlib.sha256(b"another").hexdigest()}
            spoiled = {**escalation, "id": f"{escalation['id']}-spoiled", "image": image}
            body = json.dumps(spoiled).encode()
        self.spoiled += 1
        self._send(event, body, "")

    def _send(self, like: Event, body: bytes, message_id: str) -> None:
        self._events.send(Event(body, like.properties, like.system, message_id, key=like.key))

    def _handed(self, stored: Stored) -> None:
        self._journal.handed(stored.event.message_id, dt.datetime.now(dt.UTC))


def _event(message: DeviceMessage) -> Event:
    """A message as IoT Hub writes it to an endpoint.

    The real one chooses the partition by the device. Here is one device, and by the message both
    workers have something to do.
    """
    return Event(
        message.body,
        dict(message.properties),
        stamps(message),
        message.id,
        message.content_type,
        message.content_encoding,
        key=message.id,
    )


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
