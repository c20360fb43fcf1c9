"""One word decides which messages are escalations: module, route and worker mean the same."""

import re
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from tests.support.running import busy_line, running

from devhub import DevHub, DeviceMessage
from devhub.routing import Route
from loop.bridge import deployed_condition
from verifier.hosts.event_hub import is_escalation

ROOT = Path(__file__).parents[2]
ANSWERED = {"escalation/1", "verdict-query/1"}


def as_event(message: DeviceMessage) -> EventData:
    """A message as the worker gets it."""
    properties: dict[Any, Any] = {
        name.encode(): value.encode() for name, value in message.properties.items()
    }
    return EventData._from_message(Message(data=[b""], application_properties=properties))


@pytest.fixture
def route() -> Route:
    return Route(deployed_condition(ROOT / "cloud/infra/main.bicep"))


def test_the_route_and_the_worker_take_escalations_and_leave_the_rest(
    devhub: DevHub, tmp_path: Path, route: Route
) -> None:
    with running(busy_line(tmp_path)):
        devhub.wait(lambda: {"escalation", "telemetry"} <= devhub.tallies().keys(), timeout_s=60)
    assert all(m.properties["schema"] == "escalation/1" for m in devhub.messages("escalation"))
    for message in devhub.messages():
        wanted = message.properties.get("schema") in ANSWERED
        assert route.takes(message) is wanted
        assert is_escalation(as_event(message)) is wanted


def test_the_pages_tell_the_condition_that_is_deployed() -> None:
    deployed = deployed_condition(ROOT / "cloud/infra/main.bicep")
    page = (ROOT / "docs/how-to/deploy-the-verifier.md").read_text()
    assert re.findall(r'--condition "([^"]*)"', page) == [deployed]
