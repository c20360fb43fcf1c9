"""The fake clock and the pauses between attempts."""

import random
import subprocess
import sys
import threading
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from visionedge.runtime.backoff import Backoff
from visionedge.runtime.clock import FakeClock, SystemClock, process_age_s
from visionedge.runtime.worker import Worker


@given(st.integers(0, 2**32), st.floats(0.1, 10), st.floats(10, 1000))
def test_pauses_double_up_to_the_most_and_are_at_least_half_of_their_step(
    seed: int, first_s: float, max_s: float
) -> None:
    backoff = Backoff(first_s, max_s, random.Random(seed))
    for attempt in range(2000):
        step_s = min(max_s, first_s * 2.0 ** min(attempt, 60))
        assert step_s / 2 <= backoff.next_s() <= step_s


def test_a_success_begins_the_pauses_anew() -> None:
    backoff = Backoff(1, 300)
    for _ in range(10):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 1


def test_a_thousand_modules_do_not_come_back_at_once() -> None:
    pauses = {Backoff(1, 300, random.Random(seed)).next_s() for seed in range(1000)}
    assert len(pauses) > 990


def test_the_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    before = (clock.utc(), clock.ns())
    assert (clock.utc(), clock.ns()) == before
    clock.advance(1.5)
    assert (clock.utc() - before[0]).total_seconds() == 1.5
    assert clock.ns() - before[1] == 1_500_000_000


def test_a_jump_of_wall_time_does_not_touch_deadlines() -> None:
    clock = FakeClock()
    before = clock.ns()
    clock.jump(-1e6)
    assert clock.ns() == before
    assert clock.utc() < datetime(2026, 1, 1, tzinfo=UTC)


def test_a_wait_ends_when_the_clock_has_gone_far_enough() -> None:
    clock, event = FakeClock(), threading.Event()
    results: list[bool] = []
    waiter = Worker("waiter", lambda _: results.append(clock.wait(event, 3600))).start()
    while waiter.alive:
        clock.advance(1800)
    assert results == [False]


def test_a_wait_ends_when_the_event_is_set_and_the_clock_stands_still() -> None:
    clock, event = FakeClock(), threading.Event()
    results: list[bool] = []
    waiter = Worker("waiter", lambda _: results.append(clock.wait(event, 3600))).start()
    event.set()
    assert waiter.stop(10)
    assert results == [True]


def test_the_system_clock_is_aware_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.utc().tzinfo is UTC
    assert clock.ns() <= clock.ns()
    event = threading.Event()
    event.set()
    assert clock.wait(event, 60)
    assert not SystemClock().wait(threading.Event(), 0)


def test_a_process_knows_its_age_with_the_time_before_its_first_line() -> None:
    code = (
        "import time; began = time.monotonic()\n"
        "from visionedge.runtime.clock import process_age_s\n"
        "inside = time.monotonic() - began\n"
        "print(process_age_s(), inside)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    age_s, inside_s = map(float, done.stdout.split())
    # The system counts in hundredths of a second.
    assert age_s >= inside_s - 0.02
    assert age_s < process_age_s() + 60
