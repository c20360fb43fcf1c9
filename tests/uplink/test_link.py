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
