"""What is stuck is told at once, forgiven when it comes back, and reason to end in the end."""

import logging

import pytest

from visionedge.runtime.clock import FakeClock
from visionedge.runtime.watch import EXIT_AFTER_S, StuckWatch

PARKED = {"camera line-1": "3 calls have not returned"}


def test_a_part_is_borne_with_for_a_while_and_then_no_more() -> None:
    clock = FakeClock()
    watch = StuckWatch(clock)
    assert watch.look(PARKED) == []
    clock.advance(EXIT_AFTER_S - 1)
    assert watch.look(PARKED) == []
    clock.advance(1)
    assert watch.look(PARKED) == ["camera line-1"]


def test_a_part_that_comes_back_begins_anew() -> None:
    clock = FakeClock()
    watch = StuckWatch(clock)
    for stuck in (PARKED, {}, PARKED):
        assert watch.look(stuck) == []
        clock.advance(EXIT_AFTER_S - 1)
    assert watch.look(PARKED) == []


def test_each_part_has_its_own_time() -> None:
    clock = FakeClock()
    watch = StuckWatch(clock)
    watch.look(PARKED)
    clock.advance(EXIT_AFTER_S / 2)
    both = {**PARKED, "sender": "no sign of life for 60 s"}
    assert watch.look(both) == []
    clock.advance(EXIT_AFTER_S / 2)
    assert watch.look(both) == ["camera line-1"]


def test_it_tells_what_is_wrong_and_when_the_process_ends() -> None:
    clock = FakeClock()
    watch = StuckWatch(clock, exit_after_s=120)
    ends_in = "camera line-1: 3 calls have not returned; the process ends in"
    assert watch.told(PARKED) == [f"{ends_in} 120 s"]
    watch.look(PARKED)
    clock.advance(30)
    assert watch.told(PARKED) == [f"{ends_in} 90 s"]
    clock.advance(300)
    assert watch.told(PARKED) == [f"{ends_in} 0 s"]
    assert watch.told({}) == []


def test_the_log_has_one_line_when_it_begins_and_one_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    watch = StuckWatch(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            watch.look(PARKED)
            clock.advance(4)
        watch.look({})
        watch.look({})
    began, ended = [record.getMessage() for record in caplog.records]
    assert began == (
        "camera line-1 is stuck: 3 calls have not returned; "
        "the process ends in 120 s if it stays so"
    )
    assert ended == "camera line-1 is not stuck any more, after 40 s"


def test_three_failed_health_checks_of_the_container_come_before_the_end() -> None:
    checks, interval_s, timeout_s = 3, 30, 10
    assert checks * interval_s + timeout_s < EXIT_AFTER_S
