"""When the hub is there again it is asked for verdicts that may have been missed, and not else."""

import json
import threading
from collections.abc import Iterator

import pytest
from tests.support.envelopes import envelope, resolution
from tests.support.hub_fake import FakeHub
from tests.support.running import wait_until

from visionedge.entities import Envelope, Kind
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.link import Link
from visionedge.uplink.sender import Pacing, Sender
from visionedge.uplink.spool import Spool
from visionedge.wire import VerdictQuery


@pytest.fixture
def hub() -> FakeHub:
    hub = FakeHub()
    hub.start(lambda _: None)
    return hub


@pytest.fixture
def sender(spool: Spool, hub: FakeHub, clock: FakeClock, metrics: Metrics) -> Iterator[Sender]:
    sender = Sender(spool, hub, Link(120, clock), metrics, Pacing(8, 120), clock=clock)
    sender.start()
    yield sender
    assert sender.stop(10)


def queries(hub: FakeHub) -> list[list[str]]:
    """The ids that each query named."""
    found: list[Envelope] = [each for each in hub.received if each.kind is Kind.HEALTH]
    assert all(each.properties["schema"] == "verdict-query/1" for each in found)
    return [VerdictQuery.read(json.loads(each.body)).escalation_ids for each in found]


def sent(spool: Spool, hub: FakeHub, *ids: str) -> None:
    for id_ in ids:
        spool.put(envelope(id=id_))
    assert hub.wait(lambda: set(ids) <= set(hub.ids()))
    # The spool hears of it a moment after the hub has it.
    wait_until(lambda: set(ids) <= set(spool.missing(0, 256)), "the spool to know")


def test_what_is_without_an_answer_is_asked_for_when_the_hub_is_there_again(
    spool: Spool, hub: FakeHub, sender: Sender, clock: FakeClock
) -> None:
    sent(spool, hub, "a", "b", "c")
    spool.settle(resolution("b"))
    clock.advance(30)
    sender.connected()
    assert hub.wait(lambda: len(queries(hub)) == 1)
    assert queries(hub) == [["a", "c"]]
    assert hub.ids().count("a") == 1, "its picture is not sent again"


def test_what_was_sent_a_moment_ago_is_not_asked_for(
    spool: Spool, hub: FakeHub, sender: Sender
) -> None:
    sent(spool, hub, "a")
    sender.connected()
    sent(spool, hub, "b")
    assert queries(hub) == []


def test_a_link_that_flaps_asks_once_an_answers_time(
    spool: Spool, hub: FakeHub, sender: Sender, clock: FakeClock
) -> None:
    sent(spool, hub, "a")
    clock.advance(30)
    for step in range(3):
        sender.connected()
        assert hub.wait(lambda: len(queries(hub)) == 1)
        sent(spool, hub, f"more-{step}")
    assert len(queries(hub)) == 1


def test_nothing_is_asked_where_nothing_is_missing(
    spool: Spool, hub: FakeHub, sender: Sender, clock: FakeClock
) -> None:
    clock.advance(30)
    sender.connected()
    sent(spool, hub, "a")
    assert not threading.Event().wait(0.1)
    assert queries(hub) == []
