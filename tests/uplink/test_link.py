import pytest

from visionedge.runtime.clock import FakeClock
from visionedge.uplink.link import Link

TIMEOUT_S = 120


@pytest.fixture
def link(clock: FakeClock) -> Link:
    return Link(TIMEOUT_S, clock)


def test_nothing_asked_and_nothing_failed_is_online(link: Link, clock: FakeClock) -> None:
    clock.advance(1e6)
    assert link.observe(unanswered=0, backlog=0) == "online"


def test_silence_makes_it_degraded_and_then_offline(link: Link, clock: FakeClock) -> None:
    assert link.observe(3, 0) == "online"
    clock.advance(TIMEOUT_S)
    assert link.observe(3, 0) == "degraded"
    clock.advance(2 * TIMEOUT_S)
    assert link.observe(3, 0) == "offline"


def test_acknowledgements_of_the_hub_say_nothing_about_the_cloud(
    link: Link, clock: FakeClock
) -> None:
    link.observe(3, 0)
    for _ in range(100):
        clock.advance(4)
        link.acknowledged()
    assert link.observe(3, 0) == "offline"


def test_failing_sends_make_it_degraded_and_then_offline(link: Link, clock: FakeClock) -> None:
    link.failed()
    assert link.observe(0, 1) == "online", "one failure is nothing yet"
    clock.advance(5)
    link.failed()
    assert link.observe(0, 1) == "degraded"
    clock.advance(55)
    assert link.observe(0, 1) == "offline"


def test_the_first_receipt_ends_offline_and_what_was_kept_drains(
    link: Link, clock: FakeClock
) -> None:
    link.observe(8, 500)
    clock.advance(10 * TIMEOUT_S)
    assert link.observe(8, 500) == "offline"
    link.receipt()
    assert link.observe(8, 500) == "draining"
    clock.advance(60)
    link.receipt()
    assert link.observe(8, 300) == "draining"
    clock.advance(60)
    link.receipt()
    assert link.observe(8, 2) == "online"


def test_it_gets_better_only_after_a_calm_while(link: Link, clock: FakeClock) -> None:
    link.observe(1, 0)
    clock.advance(TIMEOUT_S)
    assert link.observe(1, 0) == "degraded"
    link.receipt()
    assert link.observe(1, 0) == "degraded"
    clock.advance(14)
    assert link.observe(1, 0) == "degraded"
    clock.advance(1)
    assert link.observe(1, 0) == "online"


def test_a_flapping_link_is_one_state(link: Link, clock: FakeClock) -> None:
    states = set()
    link.failed()
    clock.advance(6)
    for _ in range(50):
        states.add(link.observe(0, 1))
        link.acknowledged()
        clock.advance(2)
        states.add(link.observe(0, 1))
        link.failed()
        clock.advance(6)
    assert states == {"degraded"}


def test_a_receipt_tells_whether_it_ends_a_silence(link: Link, clock: FakeClock) -> None:
    assert link.receipt() is False
    link.observe(2, 0)
    clock.advance(TIMEOUT_S - 1)
    assert link.receipt() is False
    clock.advance(TIMEOUT_S)
    assert link.receipt() is True
    assert link.receipt() is False


def test_the_age_of_the_last_receipt_is_known(link: Link, clock: FakeClock) -> None:
    assert link.receipt_age_s() is None
    link.receipt()
    clock.advance(42)
    assert link.receipt_age_s() == pytest.approx(42)


def test_jumps_of_the_wall_clock_are_not_evidence(link: Link, clock: FakeClock) -> None:
    link.observe(1, 0)
    clock.jump(1e9)
    assert link.observe(1, 0) == "online"
    clock.jump(-2e9)
    assert link.observe(1, 0) == "online"


def test_a_window_that_empties_ends_the_silence(link: Link, clock: FakeClock) -> None:
    link.observe(1, 0)
    clock.advance(TIMEOUT_S)
    assert link.observe(0, 0) == "online"


def test_taking_overdue_escalations_back_does_not_end_the_silence(
    link: Link, clock: FakeClock
) -> None:
    link.observe(3, 0)
    clock.advance(2 * TIMEOUT_S)
    assert link.observe(0, 3) == "degraded"
    clock.advance(TIMEOUT_S)
    assert link.observe(3, 0) == "offline"


def test_a_fault_of_our_own_disk_neither_begins_a_silence_nor_ends_one(
    link: Link, clock: FakeClock
) -> None:
    link.observe(4, 100)
    clock.advance(3 * TIMEOUT_S)
    assert link.observe(4, 100) == "offline"
    for _ in range(40):
        clock.advance(10)
        assert link.stall() == "offline"
    assert link.observe(4, 100) == "offline"


def test_a_silence_goes_on_after_a_fault_of_our_own_disk_from_where_it_was(
    link: Link, clock: FakeClock
) -> None:
    link.observe(4, 0)
    clock.advance(2 * TIMEOUT_S)
    link.observe(4, 0)
    for _ in range(10):
        assert link.stall() == "degraded"
        clock.advance(TIMEOUT_S)
    assert link.observe(4, 0) == "degraded"
    clock.advance(TIMEOUT_S - 1)
    assert link.observe(4, 0) == "degraded"
    clock.advance(1)
    assert link.observe(4, 0) == "offline"


def test_a_disk_that_fails_now_and_then_does_not_hide_a_silence(
    link: Link, clock: FakeClock
) -> None:
    for look in range(10 * TIMEOUT_S // 5):
        clock.advance(5)
        if look % 10 == 9:
            link.stall()
        else:
            link.observe(4, 100)
    assert link.state == "offline"


def test_a_receipt_counts_while_our_own_disk_fails(link: Link, clock: FakeClock) -> None:
    link.observe(4, 0)
    clock.advance(3 * TIMEOUT_S)
    assert link.observe(4, 0) == "offline"
    link.stall()
    clock.advance(100)
    assert link.stall() == "offline"
    assert link.receipt() is True
    assert link.stall() == "draining"
    clock.advance(15)
    assert link.stall() == "online"
    clock.advance(10 * TIMEOUT_S)
    assert link.observe(4, 0) == "online"
    clock.advance(TIMEOUT_S)
    assert link.observe(4, 0) == "degraded"


def test_one_failed_send_before_a_fault_of_our_own_disk_is_no_outage(
    link: Link, clock: FakeClock
) -> None:
    link.failed()
    link.stall()
    clock.advance(600)
    assert link.stall() == "online"
    assert link.observe(0, 1) == "online"


def test_sends_that_fail_beside_our_own_disk_are_an_outage(link: Link, clock: FakeClock) -> None:
    for _ in range(15):
        link.stall()
        link.failed()
        clock.advance(5)
    assert link.stall() == "offline"


def test_the_time_that_a_disk_takes_to_refuse_is_no_silence(link: Link, clock: FakeClock) -> None:
    for _ in range(10 * TIMEOUT_S // 10):
        asked_ns = clock.ns()
        link.observe(4, 0)
        clock.advance(10)
        assert link.stall(asked_ns) == "online"
