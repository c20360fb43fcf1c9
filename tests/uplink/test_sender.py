import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.envelopes import OpenSpool, envelope, resolution
from tests.support.hub_fake import FakeHub

from visionedge.entities import Envelope, Kind
from visionedge.errors import EgressUnwritable, SpoolUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.egress import EgressLedger, RecordedHub
from visionedge.uplink.link import Link
from visionedge.uplink.sender import Pacing, Sender
from visionedge.uplink.spool import Spool

MakeSender = Callable[..., Sender]


@pytest.fixture
def hub() -> FakeHub:
    hub = FakeHub()
    hub.start(lambda _: None)
    return hub


@pytest.fixture
def start_sender(
    spool: Spool, hub: FakeHub, clock: FakeClock, metrics: Metrics
) -> Iterator[MakeSender]:
    senders: list[Sender] = []

    def start(window: int = 8, answer_timeout_s: float = 120) -> Sender:
        link = Link(answer_timeout_s, clock)
        pacing = Pacing(window, answer_timeout_s)
        sender = Sender(spool, hub, link, metrics, pacing, clock=clock)
        senders.append(sender)
        sender.start()
        return sender

    yield start
    for sender in senders:
        hub.on_send = None
        assert sender.stop(10)


def attempts(hub: FakeHub) -> list[str]:
    """Every id that is handed to the hub from now on, taken or not."""
    seen: list[str] = []
    tried = hub.on_send

    def note(message: Envelope) -> None:
        seen.append(message.id)
        if tried:
            tried(message)

    hub.on_send = note
    return seen


def advance_until(clock: FakeClock, done: Callable[[], bool], step_s: float = 5) -> None:
    """Let time pass in steps, with a moment for the sender after each."""
    moment = threading.Event()
    for _ in range(400):
        if done():
            return
        clock.advance(step_s)
        moment.wait(0.01)
    pytest.fail("it did not happen, however long the fake time")


def test_everything_put_is_sent_at_once_without_time_passing(
    spool: Spool, hub: FakeHub, start_sender: MakeSender
) -> None:
    start_sender()
    spool.put(envelope(id="e"))
    assert hub.wait(lambda: len(hub.received) == 1)
    spool.put(envelope(Kind.TELEMETRY, id="t"))
    assert hub.wait(lambda: len(hub.received) == 2)
    assert hub.ids() == ["e", "t"]


def test_a_silent_cloud_gets_one_window_and_the_rest_stays_in_the_spool(
    spool: Spool, hub: FakeHub, start_sender: MakeSender
) -> None:
    for i in range(10):
        spool.put(envelope(id=f"e{i}"))
    spool.put(envelope(Kind.TELEMETRY, id="last"))
    start_sender(window=3)
    assert hub.wait(lambda: "last" in [e.id for e in hub.received])
    assert hub.ids() == ["e0", "e1", "e2", "last"]
    assert spool.backlog()[Kind.ESCALATION].ready.messages == 7


def test_each_verdict_lets_the_next_escalation_out(
    spool: Spool, hub: FakeHub, start_sender: MakeSender
) -> None:
    for i in range(4):
        spool.put(envelope(id=f"e{i}"))
    start_sender(window=1)
    for i in range(4):
        assert hub.wait(lambda sent=i + 1: len(hub.received) == sent)  # type: ignore[misc] # loop
        spool.settle(resolution(f"e{i}"))
    assert hub.ids() == ["e0", "e1", "e2", "e3"]


def test_what_could_not_be_sent_is_kept_and_sent_when_the_hub_is_back(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, metrics: Metrics
) -> None:
    hub.cut()
    failed = threading.Event()
    hub.on_send = lambda _: failed.set()
    sender = start_sender()
    for i in range(5):
        spool.put(envelope(id=f"e{i}"))
    assert failed.wait(10)
    hub.restore()
    sender.connected()
    assert hub.wait(lambda: len(hub.received) == 5)
    assert sorted(hub.ids()) == [f"e{i}" for i in range(5)]
    assert metrics.value("visionedge_sent_total", {"result": "unavailable"}) >= 1
    assert metrics.counts("visionedge_spool_lost_total", "cause") == {}


def test_new_messages_do_not_cut_a_back_off_short(
    spool: Spool, hub: FakeHub, start_sender: MakeSender
) -> None:
    hub.cut()
    failed = threading.Event()
    hub.on_send = lambda _: failed.set()
    start_sender()
    spool.put(envelope(id="first"))
    assert failed.wait(10)
    tried = attempts(hub)
    for i in range(20):
        spool.put(envelope(id=f"e{i}"))
    assert not threading.Event().wait(0.2)
    assert tried == []


def test_a_back_off_ends_by_itself(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, clock: FakeClock
) -> None:
    hub.cut()
    failed = threading.Event()
    hub.on_send = lambda _: failed.set()
    start_sender()
    spool.put(envelope(id="e"))
    assert failed.wait(10)
    hub.restore()
    advance_until(clock, lambda: hub.ids() == ["e"])


def test_a_rejected_message_is_counted_and_blocks_nothing(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, metrics: Metrics
) -> None:
    hub.refused.add("bad")
    spool.put(envelope(id="bad", value=0.9))
    spool.put(envelope(id="good", value=0.1))
    start_sender()
    assert hub.wait(lambda: hub.received != [])
    assert hub.ids() == ["good"]
    lost = {"kind": "escalation", "cause": "rejected"}
    assert metrics.value("visionedge_spool_lost_total", lost) == 1


def test_a_message_that_always_breaks_the_link_is_given_up_and_the_others_pass(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, clock: FakeClock, metrics: Metrics
) -> None:
    hub.poison.add("poison")
    spool.put(envelope(id="poison", value=1.0))
    for i in range(10):
        spool.put(envelope(id=f"e{i}"))
    start_sender(window=100)
    lost = {"kind": "escalation", "cause": "rejected"}
    advance_until(clock, lambda: metrics.value("visionedge_spool_lost_total", lost) == 1)
    assert hub.wait(lambda: len(hub.received) == 10)
    assert spool.find("poison") is None


def test_a_slow_link_that_passes_only_telemetry_costs_no_escalation(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, clock: FakeClock, metrics: Metrics
) -> None:
    hub.poison.update({"e0", "e1"})
    for id_ in ("e0", "e1"):
        spool.put(envelope(id=id_, ttl_s=1e6))
    for i in range(12):
        spool.put(envelope(Kind.TELEMETRY, id=f"t{i}", ttl_s=1e6))
    tried = attempts(hub)
    start_sender()
    advance_until(clock, lambda: len(tried) > 30)
    assert metrics.counts("visionedge_spool_lost_total", "cause") == {}
    assert set(hub.ids()) == {f"t{i}" for i in range(12)}


def test_an_overdue_escalation_is_sent_again_with_the_same_id(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, clock: FakeClock
) -> None:
    start_sender(answer_timeout_s=60)
    spool.put(envelope(id="e"))
    assert hub.wait(lambda: len(hub.received) == 1)
    advance_until(clock, lambda: len(hub.received) == 2)
    assert hub.ids() == ["e", "e"]


def test_the_first_receipt_after_a_silence_brings_back_all_that_was_sent_into_it(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, clock: FakeClock
) -> None:
    sender = start_sender(answer_timeout_s=30)
    for i in range(3):
        spool.put(envelope(id=f"e{i}", ttl_s=1e6))
    advance_until(clock, lambda: len(hub.received) >= 15)
    before = len(hub.received)
    clock.advance(35)
    sender.receipt()
    assert hub.wait(lambda: len(hub.received) >= before + 3)


def test_expired_messages_are_given_up_while_the_hub_is_away(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, clock: FakeClock, metrics: Metrics
) -> None:
    hub.cut()
    start_sender()
    spool.put(envelope(ttl_s=100))
    lost = {"kind": "escalation", "cause": "expired"}
    advance_until(clock, lambda: metrics.value("visionedge_spool_lost_total", lost) == 1)


def test_stopping_sends_what_may_be_sent(
    spool: Spool, hub: FakeHub, clock: FakeClock, metrics: Metrics
) -> None:
    sender = Sender(spool, hub, Link(120, clock), metrics, Pacing(2, 120), clock=clock)
    gate = threading.Event()
    hub.on_send = lambda _: None if gate.wait(10) else pytest.fail("the gate stayed shut")
    for i in range(5):
        spool.put(envelope(id=f"e{i}"))
        spool.put(envelope(Kind.TELEMETRY, id=f"t{i}"))
    sender.start()
    stopped: list[bool] = []
    stopping = threading.Thread(target=lambda: stopped.append(sender.stop(10)), daemon=True)
    stopping.start()
    gate.set()
    stopping.join(10)
    assert stopped == [True]
    assert hub.ids() == ["e0", "e1", "t0", "t1", "t2", "t3", "t4"]


def test_stopping_does_not_wait_for_a_hub_that_is_away(
    spool: Spool, hub: FakeHub, clock: FakeClock, metrics: Metrics
) -> None:
    hub.cut()
    sender = Sender(spool, hub, Link(120, clock), metrics, Pacing(2, 120), clock=clock)
    spool.put(envelope(id="e"))
    sender.start()
    assert sender.stop(5)
    assert spool.find("e") is not None


def test_a_spool_that_cannot_be_used_is_waited_for(
    open_spool: OpenSpool,
    spool: Spool,
    hub: FakeHub,
    start_sender: MakeSender,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = threading.Event()

    def fail(*_: object) -> None:
        broken.set()
        raise SpoolUnavailable("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "expire", fail)
        start_sender()
        assert broken.wait(10)
        spool.put(envelope(id="e"))
    advance_until(clock, lambda: hub.ids() == ["e"])
    spool.put(envelope(id="at once"))
    assert hub.wait(lambda: len(hub.received) == 2)


def disk_full(*_: object, **__: object) -> None:
    raise SpoolUnavailable("disk full")


def test_what_the_hub_has_is_not_sent_again_because_the_disk_cannot_note_it(
    spool: Spool,
    hub: FakeHub,
    start_sender: MakeSender,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spool.put(envelope(id="e", ttl_s=1e6))
    tries = 0

    def count(_: str) -> None:
        nonlocal tries
        tries += 1
        disk_full()

    with monkeypatch.context() as full:
        full.setattr(spool, "mark_sent", count)
        start_sender(answer_timeout_s=1e5)
        advance_until(clock, lambda: tries >= 5)
        assert hub.ids() == ["e"]
    spool.put(envelope(id="next"))
    advance_until(clock, lambda: hub.ids() == ["e", "next"])
    assert spool.unanswered() == 2


def test_a_full_disk_does_not_forget_that_a_silence_has_ended(
    spool: Spool,
    hub: FakeHub,
    start_sender: MakeSender,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sender = start_sender(answer_timeout_s=30)
    for i in range(3):
        spool.put(envelope(id=f"e{i}", ttl_s=1e6))
    advance_until(clock, lambda: len(hub.received) >= 15)
    before, tried = len(hub.received), threading.Event()
    clock.advance(35)

    def note() -> None:
        tried.set()
        disk_full()

    with monkeypatch.context() as full:
        full.setattr(spool, "expire", note)
        sender.receipt()
        assert tried.wait(10)
    # Less than the patience that so many attempts have earned.
    sender.flush()
    assert hub.wait(lambda: len(hub.received) >= before + 3)


def test_an_egress_ledger_that_cannot_be_written_is_no_fault_of_the_link(
    spool: Spool, hub: FakeHub, clock: FakeClock, metrics: Metrics, tmp_path: Path
) -> None:
    barred = tmp_path / "egress"
    barred.write_text("a file where the folder should be")
    recorded = RecordedHub(hub, EgressLedger(barred / "egress.jsonl", 10**6, clock))
    link = Link(1e5, clock)
    sender = Sender(spool, recorded, link, metrics, Pacing(8, 1e5), clock=clock)
    spool.put(envelope(id="e", body=b"{}", ttl_s=1e6))
    sender.start()
    failed = {"kind": "escalation", "result": "unavailable"}
    advance_until(clock, lambda: metrics.value("visionedge_sent_total", failed) >= 4, 30)
    clock.advance(60)
    assert link.observe(0, 1) == "online"
    barred.unlink()
    advance_until(clock, lambda: hub.ids() == ["e"])
    assert sender.stop(10)


def asking(spool: Spool, hub: FakeHub, metrics: Metrics, clock: FakeClock) -> tuple[Link, Sender]:
    """A link, and a sender that has an escalation to send on it."""
    link = Link(30, clock)
    sender = Sender(spool, hub, link, metrics, Pacing(8, 30), clock=clock)
    spool.put(envelope(id="e", ttl_s=1e6))
    sender.start()
    return link, sender


FullDisk = type[SpoolUnavailable | EgressUnwritable]
whose_disk = pytest.mark.parametrize("error", [SpoolUnavailable, EgressUnwritable])


@whose_disk
def test_what_a_full_disk_keeps_from_being_asked_is_no_silence_of_the_cloud(
    spool: Spool,
    hub: FakeHub,
    clock: FakeClock,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
    error: FullDisk,
) -> None:
    link, sender = asking(spool, hub, metrics, clock)
    assert hub.wait(lambda: hub.ids() == ["e"])
    tries = 0

    def fail(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise error("full")

    where, what = (spool.outages, "look") if error is SpoolUnavailable else (hub, "send")
    monkeypatch.setattr(where, what, fail)
    # Three answer timeouts, and as long again: a silence would be an outage by then.
    advance_until(clock, lambda: tries >= 12)
    assert link.state == "online"
    assert sender.stop(10)


@whose_disk
def test_a_full_disk_does_not_hide_a_cloud_that_was_silent_before(
    spool: Spool,
    hub: FakeHub,
    clock: FakeClock,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
    error: FullDisk,
) -> None:
    link, sender = asking(spool, hub, metrics, clock)
    advance_until(clock, lambda: link.state == "offline")
    states: list[str] = []

    def fail(*_: object, **__: object) -> None:
        states.append(link.state)
        raise error("full")

    where, what = (spool, "expire") if error is SpoolUnavailable else (hub, "send")
    monkeypatch.setattr(where, what, fail)
    advance_until(clock, lambda: len(states) >= 5, 30)
    assert set(states) == {"offline"}
    assert sender.stop(10)


def test_sent_messages_and_bytes_are_counted(
    spool: Spool, hub: FakeHub, start_sender: MakeSender, metrics: Metrics
) -> None:
    message = envelope(properties={"camera": "line-1"})
    start_sender()
    spool.put(message)
    assert hub.wait(lambda: len(hub.received) == 1)
    spool.settle(resolution(message.id))
    done = envelope(Kind.TELEMETRY)
    spool.put(done)
    assert hub.wait(lambda: len(hub.received) == 2)
    ok = {"kind": "escalation", "result": "ok"}
    assert metrics.value("visionedge_sent_total", ok) == 1
    assert metrics.value("visionedge_sent_bytes_total", {"kind": "escalation"}) == (
        message.size_bytes
    )


def test_the_link_is_judged_by_the_answer_timeout_of_now(
    spool: Spool, hub: FakeHub, clock: FakeClock, metrics: Metrics
) -> None:
    link = Link(120, clock)
    sender = Sender(spool, hub, link, metrics, Pacing(8, 120), clock=clock)
    link.observe(1, 0)
    sender.pacing = Pacing(8, 2)
    clock.advance(10)
    assert link.observe(1, 0) == "offline"
