"""What every `HubClient` keeps to: the real SDK on the loopback hub, the folder, the fake."""

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.support.envelopes import envelope
from tests.support.hub_sides import AzureSide, CloudSide, Events, FakeSide, LocalSide, eventually

from visionedge.entities import Envelope, Kind
from visionedge.errors import UplinkRejected, UplinkUnavailable
from visionedge.uplink.hub import DesiredDocument, DesiredPatch, HubEvent, LinkChanged, MethodCall
from visionedge.wire import MAX_MESSAGE_BYTES

BODY = b'{"schema":"test/1","n":[1,2,3]}'


@pytest.fixture(params=["fake", "local", "azure"])
def side(request: pytest.FixtureRequest) -> Iterator[CloudSide]:
    makers: dict[str, Callable[[], CloudSide]] = {
        "fake": FakeSide,
        "local": lambda: LocalSide(request.getfixturevalue("tmp_path") / "outbox"),
        "azure": lambda: AzureSide(request.getfixturevalue("devhub")),
    }
    side = makers[request.param]()
    yield side
    side.close()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def started(side: CloudSide, events: Events) -> CloudSide:
    """The side, with its client started and connected."""
    side.client.start(events)
    events.wait(lambda event: isinstance(event, DesiredDocument))
    return side


def send_until_taken(side: CloudSide, message: Envelope) -> None:
    """Send as a sender does: again, as long as it is only unavailable."""

    def taken() -> bool:
        try:
            side.client.send(message)
        except UplinkUnavailable:
            return False
        return True

    assert eventually(taken), "the hub did not come back"


def carries(key: str, value: object) -> Callable[[HubEvent], bool]:
    """Whether an event brings a desired property."""
    return lambda event: (
        isinstance(event, DesiredDocument | DesiredPatch) and event.properties.get(key) == value
    )


def test_starting_returns_at_once_and_brings_the_link_and_the_twin(
    side: CloudSide, events: Events
) -> None:
    began = time.monotonic()
    side.client.start(events)
    assert time.monotonic() - began < 1
    events.wait(lambda event: event == LinkChanged(connected=True))
    events.wait(lambda event: isinstance(event, DesiredDocument))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_message_arrives_as_it_was_sent(started: CloudSide, kind: Kind) -> None:
    message = envelope(kind, id="m-1", body=BODY, properties={"camera": "line 1/+&%", "n": "1"})
    started.client.send(message)
    assert started.wait(lambda: bool(started.received()))
    (received,) = started.received()
    assert (received.id, received.kind) == ("m-1", kind)
    assert json.loads(received.body) == json.loads(BODY)
    assert received.properties == {"camera": "line 1/+&%", "n": "1"}


def test_the_largest_message_that_is_allowed_arrives(started: CloudSide) -> None:
    body = b'{"a":"' + b"x" * (MAX_MESSAGE_BYTES - 8) + b'"}'
    started.client.send(envelope(id="big", body=body))
    assert started.wait(lambda: [message.id for message in started.received()] == ["big"])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (envelope(body=b"x" * (MAX_MESSAGE_BYTES + 1)), "bytes"),
        (envelope(properties={"k": "x" * MAX_MESSAGE_BYTES}), "bytes"),
        (envelope(properties={"label": "größe"}), "'label' is not ASCII"),
        (envelope(properties={"größe": "1"}), "not ASCII"),
        (envelope(properties={"k": "/" * 50_000}), "encoded"),
    ],
    ids=["body", "properties", "value", "name", "topic"],
)
def test_what_no_hub_takes_is_rejected_and_the_next_message_passes(
    started: CloudSide, bad: Envelope, reason: str
) -> None:
    with pytest.raises(UplinkRejected, match=reason):
        started.client.send(bad)
    started.client.send(envelope(id="next"))
    assert started.wait(lambda: [message.id for message in started.received()] == ["next"])


def test_before_the_start_and_after_the_end_nothing_can_be_sent(
    side: CloudSide, events: Events
) -> None:
    with pytest.raises(UplinkUnavailable):
        side.client.send(envelope())
    side.client.start(events)
    events.wait(lambda event: isinstance(event, DesiredDocument))
    side.client.close(10)
    with pytest.raises(UplinkUnavailable):
        side.client.send(envelope())
    with pytest.raises(UplinkUnavailable):
        side.client.report({"a": 1})


def test_while_the_hub_is_away_sends_fail_soon_and_afterwards_they_pass(
    started: CloudSide,
) -> None:
    started.client.send(envelope(id="before"))
    started.cut()
    began = time.monotonic()
    with pytest.raises(UplinkUnavailable):
        started.client.send(envelope(id="during"))
    # At worst its own deadline: the SDK may not know yet that the link is down.
    assert time.monotonic() - began < 15
    started.restore()
    send_until_taken(started, envelope(id="after"))
    assert started.wait(lambda: "after" in {message.id for message in started.received()})


def test_a_changed_setting_comes_down(started: CloudSide, events: Events) -> None:
    started.change_desired({"threshold": 0.7})
    events.wait(carries("threshold", 0.7))


def test_versions_grow(started: CloudSide, events: Events) -> None:
    started.change_desired({"n": 1})
    first = events.wait(carries("n", 1))
    started.change_desired({"n": 2})
    second = events.wait(carries("n", 2))
    assert isinstance(first, DesiredDocument | DesiredPatch)
    assert isinstance(second, DesiredDocument | DesiredPatch)
    assert first.version is not None
    assert second.version is not None
    assert second.version > first.version


def test_asking_for_the_twin_returns_at_once_and_brings_the_whole(
    started: CloudSide, events: Events
) -> None:
    started.change_desired({"a": 1})
    started.change_desired({"b": 2})
    events.wait(carries("b", 2))
    events.seen.clear()
    began = time.monotonic()
    started.client.refresh_twin()
    assert time.monotonic() - began < 0.5
    document = events.wait(lambda event: isinstance(event, DesiredDocument))
    assert isinstance(document, DesiredDocument)
    assert document.properties == {"a": 1, "b": 2}


def test_reports_are_merged_and_null_removes(started: CloudSide) -> None:
    started.client.report({"camera": {"up": True, "fps": 30}, "gone": 1})
    started.client.report({"camera": {"fps": 25}, "gone": None})
    assert started.wait(lambda: started.reported() == {"camera": {"up": True, "fps": 25}})


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"text": "x" * 5000}, "text.*4096"),
        ({f"k{i}": "x" * 4000 for i in range(9)}, "bytes"),
        ({"a.b": 1}, "a.b"),
        ({"deep": {"1": {"2": {"3": {"4": {"5": {"6": {"7": {"8": {"9": {}}}}}}}}}}}, "deeper"),
        ({"big": 2**60}, r"2\^52"),
        ({"list": [1, None]}, "null"),
        ({"nan": float("nan")}, "JSON"),
        ({"set": {1, 2}}, "JSON"),
    ],
    ids=["string", "whole", "name", "depth", "integer", "null", "nan", "type"],
)
def test_a_report_that_breaks_a_rule_is_rejected_with_its_path(
    started: CloudSide, patch: dict[str, object], reason: str
) -> None:
    with pytest.raises(UplinkRejected, match=reason):
        started.client.report(patch)
    started.client.report({"fine": True})
    assert started.wait(lambda: started.reported() == {"fine": True})


def test_verdicts_come_as_a_method_and_its_answer_goes_back(
    started: CloudSide, events: Events
) -> None:
    taken = started.deliver_verdicts([{"escalation_id": "e-1"}])
    call = events.wait(lambda event: isinstance(event, MethodCall))
    assert isinstance(call, MethodCall)
    assert (call.name, call.payload) == ("applyVerdict", {"verdicts": [{"escalation_id": "e-1"}]})
    call.answer(200, {"applied": 1})
    assert taken() is True


def test_a_refused_verdict_is_refused(started: CloudSide, events: Events) -> None:
    taken = started.deliver_verdicts([{"nonsense": True}])
    call = events.wait(lambda event: isinstance(event, MethodCall))
    assert isinstance(call, MethodCall)
    call.answer(400, {"error": "no escalation_id"})
    assert taken() is False


def test_four_threads_at_once_lose_nothing(started: CloudSide) -> None:
    def work(number: int) -> None:
        for i in range(10):
            started.client.send(envelope(id=f"{number}-{i}", body=b"{}"))

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wanted = {f"{n}-{i}" for n in range(4) for i in range(10)}
    assert started.wait(lambda: {message.id for message in started.received()} == wanted)


def test_closing_twice_and_while_the_hub_is_away_ends_in_time(started: CloudSide) -> None:
    started.cut()
    began = time.monotonic()
    started.client.close(5)
    started.client.close(5)
    assert time.monotonic() - began < 10
    started.restore()
