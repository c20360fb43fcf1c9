"""When a session is dropped, how long the pauses are, and when to end the process."""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from operator import eq

import pytest
from tests.support.envelopes import envelope
from tests.support.hub_sides import Events
from tests.support.session_fake import FakeSession, FakeWorld, unavailable

from visionedge.errors import UplinkAuthFailed, UplinkDown, UplinkUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.hub import DesiredDocument, LinkChanged
from visionedge.uplink.supervisor import Patience, SupervisedHub

MakeHub = Callable[..., SupervisedHub]


@pytest.fixture
def world(clock: FakeClock) -> FakeWorld:
    return FakeWorld(clock.ns)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def make_hub(
    world: FakeWorld, clock: FakeClock, metrics: Metrics, events: Events
) -> Iterator[MakeHub]:
    hubs: list[SupervisedHub] = []

    def make(
        *, patience: Patience | None = None, on_stuck: Callable[[str], None] | None = None
    ) -> SupervisedHub:
        hub = SupervisedHub(
            world.new_session,
            metrics,
            patience=patience,
            on_stuck=on_stuck,
            clock=clock,
            rng=random.Random(1),
        )
        hubs.append(hub)
        hub.start(events)
        return hub

    yield make
    for hub in hubs:
        hub.close(5)
        assert not any(worker.alive for worker in hub.workers)


@pytest.fixture
def hub(make_hub: MakeHub, events: Events) -> SupervisedHub:
    """A hub with a first session that is up and has read its twin."""
    hub = make_hub()
    events.wait(lambda event: isinstance(event, DesiredDocument))
    return hub


def pass_time(clock: FakeClock, until: Callable[[], bool], step_s: float = 1) -> float:
    """Let time pass step by step; returns how much had to."""
    moment = threading.Event()
    for step in range(5000):
        if until():
            return step * step_s
        clock.advance(step_s)
        moment.wait(0.006)
    pytest.fail("it did not happen, however much time passed")


def rebuilt(metrics: Metrics) -> dict[str, int]:
    return metrics.counts("visionedge_link_rebuilt_total", "cause")


def test_a_good_session_is_kept(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock, metrics: Metrics
) -> None:
    pass_time(clock, lambda: world.count("twin") >= 3, step_s=60)
    assert len(world.sessions) == 1
    assert rebuilt(metrics) == {}
    assert metrics.value("visionedge_link_up") == 1


def test_the_twin_is_read_every_ten_minutes_give_or_take_one(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock
) -> None:
    for reads in range(1, 5):
        waited_s = pass_time(clock, lambda reads=reads: world.count("twin") > reads, step_s=15)  # type: ignore[misc] # loop
        assert 525 <= waited_s <= 690


@pytest.mark.parametrize("cause", ["deadline", "auth"])
def test_a_session_that_is_said_to_be_broken_is_replaced(
    hub: SupervisedHub,
    world: FakeWorld,
    clock: FakeClock,
    metrics: Metrics,
    cause: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world.sessions[0].watch.broken(cause, "nobody answers")
    world.sessions[0].watch.broken("drops", "what came later")
    pass_time(clock, lambda: len(world.sessions) == 2)
    assert world.sessions[0].closed
    assert rebuilt(metrics) == {cause: 1}
    assert f"the hub is lost, by {cause}: nobody answers; tried until it answers" in caplog.messages


def test_a_twin_that_ends_its_session_is_told_once(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def hang(session: FakeSession) -> None:
        session.watch.broken("deadline", "a send had no answer")
        raise UplinkUnavailable("given up before it answered")

    world.failures["twin"] = hang
    hub.refresh_twin()
    pass_time(clock, lambda: world.sessions[0].closed)
    world.failures.clear()
    (lost,) = [text for text in caplog.messages if "connected to the hub" not in text]
    assert lost == "the hub is lost, by deadline: a send had no answer; tried until it answers"


def test_what_an_old_session_says_does_not_touch_the_new_one(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock
) -> None:
    world.sessions[0].watch.broken("deadline", "late")
    pass_time(clock, lambda: world.count("twin") == 2)
    world.sessions[0].watch.broken("deadline", "late")
    world.sessions[0].link(connected=False)
    clock.advance(30)
    hub.send(envelope())
    assert len(world.sessions) == 2


def test_failed_first_connects_are_tried_again_with_growing_pauses(
    make_hub: MakeHub, world: FakeWorld, clock: FakeClock, metrics: Metrics
) -> None:
    world.failures["open"] = unavailable
    make_hub(patience=Patience(first_pause_s=1, most_pause_s=300))
    pauses = []
    for sessions in range(2, 13):
        step_s = 0.25 if sessions < 6 else 5
        pauses.append(
            pass_time(clock, lambda n=sessions: len(world.sessions) == n, step_s)  # type: ignore[misc] # loop
        )
    assert pauses[0] <= 1.5
    assert pauses[4] > pauses[0]
    assert all(145 <= pause_s <= 310 for pause_s in pauses[-2:])
    assert set(rebuilt(metrics)) == {"connect"}


def test_a_hub_that_refuses_us_is_said_so_and_tried_again(
    make_hub: MakeHub, world: FakeWorld, clock: FakeClock, metrics: Metrics
) -> None:
    def refuse(_: FakeSession) -> None:
        raise UplinkAuthFailed("bad token")

    world.failures["open"] = refuse
    make_hub()
    pass_time(clock, lambda: len(world.sessions) == 2)
    assert set(rebuilt(metrics)) == {"auth"}
    world.failures.clear()
    pass_time(clock, lambda: world.count("twin") == 1)
    assert metrics.value("visionedge_link_up") == 1


def test_a_short_loss_is_left_to_the_sdk_and_the_twin_is_read_after_it(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock, events: Events
) -> None:
    world.sessions[0].link(connected=False)
    events.wait(lambda event: event == LinkChanged(connected=False))
    clock.advance(30)
    with pytest.raises(UplinkUnavailable):
        hub.send(envelope())
    world.sessions[0].link(connected=True)
    world.wait(lambda: world.count("twin") == 2)
    hub.send(envelope())
    assert len(world.sessions) == 1


def test_a_long_loss_ends_the_session(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock, metrics: Metrics
) -> None:
    world.sessions[0].link(connected=False)
    waited_s = pass_time(clock, lambda: len(world.sessions) == 2)
    assert 60 <= waited_s <= 65
    assert rebuilt(metrics) == {"lost": 1}


def test_a_link_that_comes_and_goes_too_often_ends_the_session(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock, metrics: Metrics
) -> None:
    first = world.sessions[0]
    for _ in range(9):
        first.link(connected=False)
        first.link(connected=True)
    pass_time(clock, lambda: len(world.sessions) == 2)
    assert rebuilt(metrics) == {"drops": 1}


def test_an_hourly_token_renewal_is_not_too_often(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock
) -> None:
    for reads in range(2, 12):
        world.sessions[0].link(connected=False)
        world.sessions[0].link(connected=True)
        world.wait(lambda reads=reads: world.count("twin") >= reads)  # type: ignore[misc] # loop
        clock.advance(60)
    assert len(world.sessions) == 1


def test_who_meets_a_loss_before_the_link_says_so_is_told_that_it_is_down(
    hub: SupervisedHub, world: FakeWorld
) -> None:
    def breaks(session: FakeSession) -> None:
        threading.Timer(0.1, lambda: session.link(connected=False)).start()
        raise UplinkUnavailable("not connected")

    world.failures["send"] = breaks
    with pytest.raises(UplinkDown):
        hub.send(envelope())


def test_who_meets_a_loss_that_is_over_already_is_told_that_it_was_down(
    hub: SupervisedHub, world: FakeWorld, events: Events
) -> None:
    def blinks(session: FakeSession) -> None:
        for change in (LinkChanged(connected=False), LinkChanged(connected=True)):
            session.link(change.connected)
            events.wait(partial(eq, change))
        raise UplinkUnavailable("not connected")

    world.failures["send"] = blinks
    with pytest.raises(UplinkDown):
        hub.send(envelope())


def test_a_send_that_fails_on_a_link_that_stays_says_why(
    hub: SupervisedHub, world: FakeWorld
) -> None:
    world.failures["send"] = unavailable
    with pytest.raises(UplinkUnavailable, match="not now") as raised:
        hub.send(envelope())
    assert not isinstance(raised.value, UplinkDown)


def test_a_twin_that_cannot_be_read_on_a_link_that_is_up_ends_the_session(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock, metrics: Metrics
) -> None:
    world.failures["twin"] = unavailable
    hub.refresh_twin()
    pass_time(clock, lambda: len(world.sessions) == 2)
    assert rebuilt(metrics) == {"twin": 1}
    assert world.count("twin") >= 4


def test_one_failed_read_is_repeated_and_no_more(
    hub: SupervisedHub, world: FakeWorld, clock: FakeClock
) -> None:
    def once(_: FakeSession) -> None:
        del world.failures["twin"]
        raise UplinkUnavailable("once")

    world.failures["twin"] = once
    hub.refresh_twin()
    pass_time(clock, lambda: world.count("twin") == 3)
    clock.advance(60)
    assert len(world.sessions) == 1


def test_the_pauses_start_anew_only_after_a_session_that_lasted(
    make_hub: MakeHub, world: FakeWorld, clock: FakeClock
) -> None:
    make_hub(patience=Patience(first_pause_s=4, most_pause_s=64))

    def pause_after_break(number: int) -> float:
        world.wait(lambda: world.count("twin") == number)
        world.sessions[-1].watch.broken("drops", "too often")
        return pass_time(clock, lambda: len(world.sessions) == number + 1, step_s=0.5)

    short_lived = [pause_after_break(number) for number in range(1, 6)]
    assert short_lived[-1] >= 31, "sessions that die young make the pauses grow"
    world.wait(lambda: world.count("twin") == 6)
    moment = threading.Event()
    for _ in range(8):
        clock.advance(10)
        moment.wait(0.02)
    assert pause_after_break(6) <= 5


def test_too_many_failed_sessions_in_a_row_ask_for_an_end_once(
    make_hub: MakeHub, world: FakeWorld, clock: FakeClock
) -> None:
    stuck: list[str] = []
    world.failures["open"] = unavailable
    make_hub(patience=Patience(max_failed_rebuilds=3, most_pause_s=2), on_stuck=stuck.append)
    pass_time(clock, lambda: len(world.sessions) == 6)
    assert stuck == ["3 sessions in a row failed, now by connect"]


def test_sessions_that_open_and_are_lost_at_once_count_as_failed(
    make_hub: MakeHub, world: FakeWorld, clock: FakeClock
) -> None:
    def lose(session: FakeSession) -> None:
        session.link(connected=False)

    stuck: list[str] = []
    world.failures["twin"] = lose
    make_hub(patience=Patience(max_failed_rebuilds=3, most_pause_s=2), on_stuck=stuck.append)
    pass_time(clock, lambda: bool(stuck))
    assert stuck == ["3 sessions in a row failed, now by lost"]


def test_by_default_it_never_asks_for_an_end(
    make_hub: MakeHub, world: FakeWorld, clock: FakeClock
) -> None:
    stuck: list[str] = []
    world.failures["open"] = unavailable
    make_hub(patience=Patience(most_pause_s=1), on_stuck=stuck.append)
    pass_time(clock, lambda: len(world.sessions) == 30)
    assert stuck == []


def test_a_link_that_is_renewed_in_a_moment_fails_no_send(
    hub: SupervisedHub, world: FakeWorld, events: Events
) -> None:
    world.sessions[0].link(connected=False)
    events.wait(lambda event: event == LinkChanged(connected=False))
    sent = threading.Event()

    def send() -> None:
        hub.send(envelope())
        sent.set()

    threading.Thread(target=send, daemon=True).start()
    world.sessions[0].link(connected=True)
    assert sent.wait(5)


def test_the_link_is_told_once_when_lost_and_once_when_back(
    hub: SupervisedHub, world: FakeWorld, events: Events, clock: FakeClock
) -> None:
    world.sessions[0].link(connected=False)
    events.wait(lambda event: event == LinkChanged(connected=False))
    for _ in range(5):
        clock.advance(1)
    world.sessions[0].link(connected=True)
    world.wait(lambda: world.count("twin") == 2)
    changes = [event for event in events.seen if isinstance(event, LinkChanged)]
    assert [change.connected for change in changes] == [True, False, True]


def test_a_crash_in_a_session_is_counted_and_outlived(
    make_hub: MakeHub, world: FakeWorld, clock: FakeClock, metrics: Metrics
) -> None:
    def crash(_: FakeSession) -> None:
        world.failures.clear()
        raise RuntimeError("a bug")

    world.failures["open"] = crash
    make_hub()
    pass_time(clock, lambda: world.count("twin") == 1)
    assert metrics.value("visionedge_worker_crashes_total", {"worker": "uplink"}) == 1
    assert world.sessions[0].closed
