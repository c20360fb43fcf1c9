"""The event hub as Azure's own client meets it: unpatched, over TLS."""

import datetime as dt
import itertools
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from azure.eventhub import EventHubConsumerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
from tests.support.azurite import azurite_container, connection_string
from tests.support.event_hub import event_hub, reading, until

from eventhub.log import Event

if TYPE_CHECKING:
    from eventhub.server import EventHub

STAMP = dt.datetime(2020, 11, 21, 12, tzinfo=dt.UTC)


@pytest.fixture
def hub() -> Iterator["EventHub"]:
    with event_hub(partitions=2) as served:
        yield served


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("azure").setLevel(logging.CRITICAL)


def client_of(hub: "EventHub", text: str = "", *, trusts: bool = True) -> EventHubConsumerClient:
    return EventHubConsumerClient.from_connection_string(
        text or hub.connection_string,
        "verifier",
        connection_verify=str(hub.ca_file) if trusts else None,
        retry_total=0,
    )


def test_it_tells_of_itself_and_of_its_partitions(hub: "EventHub") -> None:
    first = hub.send(Event(b"one", key="a"))
    hub.send(Event(b"two", key="a"))
    with client_of(hub) as client:
        assert client.get_eventhub_properties()["partition_ids"] == ["0", "1"]
        told = client.get_partition_properties(first.partition)
        empty = client.get_partition_properties("1" if first.partition == "0" else "0")
    assert told["last_enqueued_sequence_number"] == 1
    assert int(told["last_enqueued_offset"]) > int(first.offset)
    assert not told["is_empty"]
    assert empty["is_empty"]
    assert empty["last_enqueued_sequence_number"] == -1


def test_an_event_comes_whole_with_all_that_was_stamped_on_it(hub: "EventHub") -> None:
    body = bytes(range(256)) * 900
    sent = hub.send(
        Event(
            body,
            {"schema": "escalation/1"},
            {"iothub-connection-device-id": "line-1", "iothub-enqueuedtime": STAMP},
            message_id="m1",
            content_type="application/json",
            content_encoding="utf-8",
            key="line-1",
        )
    )
    with reading(hub) as reader:
        until(lambda: reader.got, "the event")
    (partition, event), *more = reader.got
    stamped = event.system_properties
    assert (partition, more) == (sent.partition, [])
    assert reader.bodies() == [body]
    assert event.properties == {b"schema": b"escalation/1"}
    assert (event.sequence_number, event.offset) == (0, sent.offset)
    assert event.partition_key == b"line-1"
    assert event.message_id == "m1"
    assert (event.content_type, stamped[b"content-encoding"]) == ("application/json", b"utf-8")
    assert stamped[b"iothub-connection-device-id"] == b"line-1"
    assert stamped[b"iothub-enqueuedtime"] == int(STAMP.timestamp() * 1000)
    assert event.enqueued_time
    assert abs((event.enqueued_time - sent.enqueued_at).total_seconds()) < 0.01


def test_events_of_one_key_keep_their_order_and_partition(hub: "EventHub") -> None:
    for n in range(20):
        hub.send(Event(str(n).encode(), key=f"device-{n % 3}"))
    with reading(hub) as reader:
        until(lambda: len(reader.got) == 20, "twenty events")
        hub.send(Event(b"20", key="device-2"))
        until(lambda: len(reader.got) == 21, "one that was sent while reading")
    partitions = [partition for partition, _ in reader.got]
    came = list(zip(partitions, reader.bodies(), strict=True))
    for key in range(3):
        mine = [(p, int(body)) for p, body in came if int(body) % 3 == key]
        assert len({partition for partition, _ in mine}) == 1
        assert [n for _, n in mine] == sorted(n for _, n in mine)


@pytest.mark.parametrize(
    ("position", "inclusive", "expected"),
    [("@latest", False, 0), (1, True, 2), (STAMP, False, 3)],
)
def test_a_reader_begins_where_it_asks(
    hub: "EventHub", position: object, inclusive: bool, expected: int
) -> None:
    for _ in range(3):
        sent = hub.send(Event(b"old", key="a"))
    how: dict[str, Any] = {"starting_position": position, "starting_position_inclusive": inclusive}
    with reading(hub, **how) as reader:
        until(lambda: all(hub.readers("verifier").values()), "readers")
        hub.send(Event(b"new", key="a"))
        until(lambda: b"new" in reader.bodies(), "the new event")
    assert reader.bodies() == [b"old"] * expected + [b"new"]
    assert reader.got[0][0] == sent.partition


def test_a_wrong_key_gets_nothing(hub: "EventHub") -> None:
    text = hub.connection_string.replace("SharedAccessKey=", "SharedAccessKey=x")
    with client_of(hub, text) as client, pytest.raises((AuthenticationError, EventHubError)):
        client.get_eventhub_properties()


def test_who_does_not_know_the_authority_does_not_connect(hub: "EventHub") -> None:
    with client_of(hub, trusts=False) as client, pytest.raises(EventHubError):
        client.get_eventhub_properties()


def test_another_hub_is_not_found(hub: "EventHub") -> None:
    text = hub.connection_string.replace("EntityPath=escalations", "EntityPath=other")
    with client_of(hub, text) as client, pytest.raises(EventHubError):
        client.get_eventhub_properties()


def test_a_higher_epoch_takes_the_partition_and_a_lower_one_is_refused(hub: "EventHub") -> None:
    with reading(hub, partition_id="0", owner_level=1) as first:
        until(lambda: hub.readers("verifier")["0"] == 1, "the first reader")
        with reading(hub, partition_id="0", owner_level=0) as lower:
            until(lambda: lower.errors, "the refusal of the lower epoch")
        assert not first.errors
        with reading(hub, partition_id="0", owner_level=2) as higher:
            until(lambda: first.errors, "the loss of the first reader")
            assert hub.readers("verifier")["0"] == 1
            hub.send(Event(b"after"))
            hub.send(Event(b"after"))
            until(lambda: higher.got, "an event for the new reader")
    assert "amqp:link:stolen" in str(lower.errors[0])
    assert "amqp:link:stolen" in str(first.errors[0])


def test_a_reader_comes_back_after_its_connection_was_dropped(hub: "EventHub") -> None:
    with reading(hub) as reader:
        hub.send(Event(b"before", key="a"))
        until(lambda: reader.bodies() == [b"before"], "the first event")
        hub.drop_connections()
        hub.send(Event(b"after", key="a"))
        until(lambda: b"after" in reader.bodies(), "the event after the drop")


@pytest.mark.slow
def test_readers_share_the_partitions_and_go_on_from_a_checkpoint(
    hub: "EventHub", request: pytest.FixtureRequest
) -> None:
    name = azurite_container(request).container_name

    def checkpoints() -> BlobCheckpointStore:
        return BlobCheckpointStore.from_connection_string(connection_string(), name)

    with reading(hub, checkpoints=checkpoints(), checkpoint=True) as first:
        until(lambda: all(hub.readers("verifier").values()), "a reader of everything")
        with reading(hub, checkpoints=checkpoints(), checkpoint=True) as second:
            sent = itertools.count()

            def shared() -> bool:
                hub.send(Event(b"%d" % next(sent)))
                return bool(second.got)

            until(shared, "a share for the second reader", 60)
            count = next(sent)
            until(lambda: len({*first.bodies(), *second.bodies()}) == count, "all events")
    with reading(hub, checkpoints=checkpoints()) as third:
        until(lambda: all(hub.readers("verifier").values()), "a third reader", 60)
        hub.send(Event(b"new"))
        until(lambda: third.got, "an event after the checkpoint")
    assert third.bodies() == [b"new"]
