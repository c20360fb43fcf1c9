"""What a hub remembers, and that it remembers no more than it may."""

import datetime as dt

import pytest

from devhub.ledger import DeviceMessage, MessageLedger
from devhub.packets import Publish
from devhub.session import MAX_STORED_INPUTS, Session


def message(
    message_id: str, body: bytes = b"", output: str = "out", *, dup: bool = False
) -> DeviceMessage:
    """A message with the fields that the ledger looks at."""
    return DeviceMessage(
        device_id="d",
        module_id="m",
        id=message_id,
        output=output,
        body=body,
        properties={},
        content_type="",
        content_encoding="",
        correlation_id="",
        user_id="",
        expires_at="",
        dup=dup,
        size_bytes=len(body) + 10,
        received_at=dt.datetime.now(dt.UTC),
        sequence=0,
    )


def test_the_newest_messages_are_kept_by_count() -> None:
    ledger = MessageLedger(keep_messages=2, keep_body_bytes=1000, keep_ids=10)
    for name in "abc":
        ledger.add(message(name))
    assert [m.id for m in ledger.messages(None, None)] == ["b", "c"]
    assert ledger.tallies()["out"].messages == 3


def test_the_newest_messages_are_kept_by_bytes_and_the_last_always() -> None:
    ledger = MessageLedger(keep_messages=10, keep_body_bytes=100, keep_ids=10)
    for name, size in (("a", 60), ("b", 30), ("c", 20)):
        ledger.add(message(name, bytes(size)))
    assert [m.id for m in ledger.messages(None, None)] == ["b", "c"]
    ledger.add(message("d", bytes(500)))
    assert [m.id for m in ledger.messages(None, None)] == ["d"]
    ledger.add(message("e", bytes(1)))
    assert [m.id for m in ledger.messages(None, None)] == ["e"]
    tally = ledger.tallies()["out"]
    assert (tally.messages, tally.body_bytes, tally.size_bytes) == (5, 611, 661)


def test_ids_are_counted_by_output_and_the_oldest_forgotten() -> None:
    ledger = MessageLedger(keep_messages=1, keep_body_bytes=1, keep_ids=2)
    for name in ("a", "a", "b", "", "c"):
        ledger.add(message(name))
    ledger.add(message("a", output="other", dup=True))
    assert ledger.ids("out") == {"b": 1, "c": 1}
    assert ledger.ids("other") == {"a": 1}
    assert ledger.ids("nothing") == {}
    assert ledger.ids_forgotten == 1
    assert ledger.tallies()["other"].marked_dup == 1


@pytest.fixture
def session() -> Session:
    session = Session()
    session.subscriptions["in/#"] = 1
    return session


def test_stored_inputs_go_out_once_and_in_order(session: Session) -> None:
    for body in (b"1", b"2"):
        session.store(Publish("in/x", body))
    assert [m.payload for m in session.release()] == [b"1", b"2"]
    assert session.release() == []
    assert session.undelivered == 2


def test_what_is_in_flight_comes_again_before_what_is_stored(session: Session) -> None:
    for body in (b"1", b"2", b"3"):
        session.store(Publish("in/x", body))
    first = session.release()[0]
    session.acknowledge(first.packet_id or 0)
    session.store(Publish("in/x", b"4"))
    session.suspend()
    again = session.release()
    assert [(m.payload, m.dup) for m in again] == [(b"2", True), (b"3", True), (b"4", False)]
    for each in again:
        session.acknowledge(each.packet_id or 0)
    assert session.undelivered == 0


def test_nothing_goes_out_without_a_subscription(session: Session) -> None:
    session.subscriptions.clear()
    session.store(Publish("in/x", b"1"))
    assert session.release() == []


def test_a_full_store_loses_the_oldest(session: Session) -> None:
    for number in range(MAX_STORED_INPUTS + 1):
        session.store(Publish("in/x", b"%d" % number))
    assert session.undelivered == MAX_STORED_INPUTS
    assert session.release()[0].payload == b"1"


def test_packet_ids_wrap_and_leave_out_those_in_flight(session: Session) -> None:
    session.store(Publish("in/x", b"1"))
    (held,) = session.release()
    ids = [session.next_id() for _ in range(65_535)]
    assert held.packet_id not in ids
    assert 0 not in ids
    assert max(ids) == 65_535
