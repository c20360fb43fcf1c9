"""Expiry against wall clocks that jump: while running, over a restart, and both."""

from datetime import UTC, datetime

import pytest
from tests.support.envelopes import OpenSpool, envelope

from visionedge.entities import Kind
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool

DAY_S = 86_400.0
DECADES_S = 56 * 365 * DAY_S
BORN_1970 = datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC)


@pytest.mark.parametrize("jump_s", [DECADES_S, -DECADES_S, 10 * DAY_S, -10 * DAY_S])
def test_a_jump_of_the_wall_clock_neither_expires_nor_keeps_anything(
    spool: Spool, clock: FakeClock, jump_s: float
) -> None:
    spool.put(envelope(ttl_s=DAY_S))
    clock.jump(jump_s)
    assert spool.expire() == ()
    clock.advance(DAY_S - 1)
    assert spool.expire() == ()
    clock.advance(1)
    assert len(spool.expire()) == 1


def test_a_device_that_boots_in_1970_keeps_what_it_took_before_ntp_came(
    open_spool: OpenSpool,
) -> None:
    clock = FakeClock(BORN_1970)
    spool = open_spool(at=clock)
    spool.put(envelope(id="e", created_at=clock.utc(), ttl_s=DAY_S))
    clock.jump(DECADES_S)
    assert spool.expire() == ()
    clock.advance(60)
    spool.expire()
    assert (kept := open_spool(at=clock).next_to_send(1))
    assert kept.id == "e"


def test_time_switched_off_counts_when_the_clock_was_right(
    open_spool: OpenSpool, clock: FakeClock
) -> None:
    open_spool().put(envelope(ttl_s=2 * DAY_S))
    after = FakeClock(clock.utc())
    after.jump(DAY_S)
    spool = open_spool(at=after)
    assert spool.expire() == ()
    after.advance(DAY_S)
    assert len(spool.expire()) == 1


@pytest.mark.parametrize(
    "boot",
    [BORN_1970, datetime(2025, 12, 31, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)],
    ids=["1970", "a day back", "decades ahead"],
)
def test_a_restart_with_an_unbelievable_clock_counts_no_time(
    open_spool: OpenSpool, boot: datetime
) -> None:
    open_spool().put(envelope(ttl_s=2 * DAY_S))
    clock = FakeClock(boot)
    spool = open_spool(at=clock)
    assert spool.expire() == ()
    clock.advance(2 * DAY_S)
    assert len(spool.expire()) == 1, "and it still expires in the end"


def test_the_correction_after_a_boot_in_1970_expires_nothing_at_the_next_restart(
    open_spool: OpenSpool, clock: FakeClock
) -> None:
    open_spool().put(envelope(id="e", ttl_s=2 * DAY_S))
    booted = FakeClock(BORN_1970)
    spool = open_spool(at=booted)
    spool.expire()
    right = FakeClock(clock.utc())
    spool = open_spool(at=right)
    assert spool.expire() == ()
    assert spool.backlog()[Kind.ESCALATION].messages == 1


def test_answer_timeouts_do_not_see_the_wall_clock(spool: Spool, clock: FakeClock) -> None:
    spool.put(envelope(id="e"))
    spool.mark_sent("e")
    clock.jump(DECADES_S)
    assert spool.overdue(120) == 0
    clock.jump(-2 * DECADES_S)
    clock.advance(120)
    assert spool.overdue(120) == 1


def test_a_file_reopened_in_mid_run_goes_on_by_the_monotonic_clock(
    spool: Spool, clock: FakeClock
) -> None:
    spool.put(envelope(ttl_s=DAY_S))
    clock.jump(10 * DAY_S)
    spool.close()
    assert spool.expire() == ()
    clock.advance(DAY_S)
    assert len(spool.expire()) == 1
