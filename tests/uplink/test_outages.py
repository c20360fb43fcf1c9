"""The loss ledger: what an outage cost adds up to the frame, over restarts as well."""

from collections.abc import Callable

import pytest
from tests.support.envelopes import OpenSpool, envelope, resolution

from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_outages import Outage

DAY_S = 86_400.0
Look = Callable[..., Outage | None]


def look(spool: Spool, state: str, heard: bool = True, **unkept: int) -> Outage:
    """One look of the sender; the outage that it tells of."""
    spool.outages.look(state, unkept, heard=heard)
    outage = spool.outages.latest()
    assert outage is not None
    return outage


def assert_it_adds_up(outage: Outage) -> None:
    assert outage.seen == outage.kept + sum(outage.not_kept.values())
    gone = outage.settled + sum(outage.lost.values())
    assert outage.before + outage.kept == outage.waiting + gone


def test_where_nothing_has_happened_there_is_no_outage(spool: Spool) -> None:
    spool.outages.look("online", {}, heard=True)
    assert spool.outages.latest() is None


def test_a_late_answer_is_no_outage(spool: Spool) -> None:
    assert not look(spool, "degraded").offline
    spool.outages.look("online", {}, heard=True)
    assert spool.outages.latest() is None


def test_seen_kept_lost_and_settled_add_up(open_spool: OpenSpool, clock: FakeClock) -> None:
    spool = open_spool(max_bytes=40_000)
    spool.put(envelope(id="before", value=0.9, body=b"x" * 5_000, ttl_s=DAY_S))
    look(spool, "degraded", over_budget=2)
    for number in range(10):
        value = 0.1 + number / 20
        spool.put(envelope(id=f"e{number}", value=value, body=b"x" * 5_000, ttl_s=DAY_S))
    spool.put(envelope(id="short", value=1.0, body=b"x" * 500, ttl_s=60))
    clock.advance(3600)
    outage = look(spool, "offline", over_budget=5, redaction=1)
    spool.expire()
    outage = look(spool, "offline", over_budget=6, redaction=1)
    # The two over the budget that came before it are not of this outage.
    assert outage.not_kept == {"over_budget": 4, "redaction": 1}
    assert (outage.before, outage.kept, outage.seen) == (1, 11, 16)
    assert outage.lost["expired"] == 1
    assert outage.lost["evicted"] >= 3
    assert outage.lasted_s == pytest.approx(3600)
    assert outage.ended_at is None
    assert_it_adds_up(outage)


def test_it_ends_when_the_link_is_online_and_stays_as_it_was(
    spool: Spool, clock: FakeClock
) -> None:
    look(spool, "offline")
    spool.put(envelope(id="e1", ttl_s=DAY_S))
    spool.settle(resolution("e1"))
    look(spool, "draining")
    clock.advance(100)
    ended = look(spool, "online")
    assert (ended.kept, ended.settled, ended.waiting) == (1, 1, 0)
    assert ended.ended_at == clock.utc()
    assert ended.drains_in_s == 0
    spool.put(envelope(id="e2", ttl_s=DAY_S))
    clock.advance(100)
    assert look(spool, "online", queue=3) == ended
    assert look(spool, "offline", queue=3).number == ended.number + 1


def test_an_outage_goes_on_over_a_restart_until_the_cloud_is_heard(
    open_spool: OpenSpool, clock: FakeClock
) -> None:
    spool = open_spool()
    look(spool, "offline", queue=1)
    spool.put(envelope(id="e1", ttl_s=DAY_S))
    look(spool, "offline", queue=2)
    clock.advance(500)
    spool = open_spool()
    # A new process counts from nothing, and begins as if it were online.
    outage = look(spool, "online", heard=False)
    assert outage.ended_at is None
    spool.put(envelope(id="e2", ttl_s=DAY_S))
    outage = look(spool, "online", heard=False, queue=4)
    assert (outage.kept, outage.not_kept, outage.seen) == (2, {"queue": 5}, 7)
    assert_it_adds_up(outage)
    assert look(spool, "online", heard=True, queue=4).ended_at is not None


def test_the_drain_is_told_at_the_rate_of_late(spool: Spool, clock: FakeClock) -> None:
    look(spool, "offline")
    for number in range(40):
        spool.put(envelope(id=f"e{number}", ttl_s=DAY_S))
    assert look(spool, "offline").drains_in_s is None
    look(spool, "draining")
    for number in range(10):
        clock.advance(10)
        spool.settle(resolution(f"e{number}"))
        outage = look(spool, "draining")
    # Ten of forty are gone in 100 s; the rest needs three times as long.
    assert outage.waiting == 30
    assert outage.drains_in_s == pytest.approx(300, rel=0.1)


def test_what_was_made_in_the_last_day_is_remembered_with_its_age(
    open_spool: OpenSpool, clock: FakeClock
) -> None:
    spool = open_spool()
    spool.put(envelope(id="old", ttl_s=DAY_S))
    clock.advance(DAY_S - 10)
    spool.put(envelope(id="new", body=b"x" * 100, ttl_s=DAY_S))
    spool.put(envelope(id="new", body=b"x" * 100, ttl_s=DAY_S))
    clock.advance(20)
    made = open_spool().made_lately()
    assert [(m.size_bytes, round(m.age_s)) for m in made] == [(made[0].size_bytes, 20)]
    spool = open_spool()
    spool.expire()
    assert len(spool.made_lately()) == 1
