"""An even rate, for sources that make it and for feeds that ask for less of it."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cameras import picture

from visionedge.cameras.judges import RateGate, StillWatch
from visionedge.cameras.pacer import Pacer
from visionedge.runtime.clock import Clock, SystemClock

_SECOND_NS = 1_000_000_000


class WaitingClock(SystemClock):
    """Time that passes only by waiting, and notes each wait."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.waits_s: list[float] = []

    def ns(self) -> int:
        return self.now_ns

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waits_s.append(timeout_s)
        self.now_ns += round(timeout_s * 1e9)
        return event.is_set()


def test_the_first_frame_is_due_at_once_and_the_others_evenly() -> None:
    clock = WaitingClock()
    pacer = Pacer(10, clock=clock)
    for _ in range(4):
        pacer.wait()
    assert clock.waits_s == pytest.approx([0.1, 0.1, 0.1])


def test_a_frame_that_was_a_little_late_is_made_up_for() -> None:
    clock = WaitingClock()
    pacer = Pacer(10, clock=clock)
    pacer.wait()
    clock.now_ns += round(0.14e9)
    pacer.wait()
    pacer.wait()
    assert clock.waits_s == pytest.approx([0.06])


def test_a_fast_camera_keeps_its_rate_through_a_tick_of_the_scheduler() -> None:
    clock = WaitingClock()
    pacer = Pacer(200, clock=clock)
    pacer.wait()
    clock.now_ns += round(0.023e9)
    for _ in range(5):
        pacer.wait()
    assert clock.waits_s == pytest.approx([0.002])
    assert clock.now_ns == pytest.approx(0.025e9)


def test_a_long_delay_is_followed_by_no_burst() -> None:
    clock = WaitingClock()
    pacer = Pacer(10, clock=clock)
    pacer.wait()
    clock.now_ns += 5 * _SECOND_NS
    for _ in range(3):
        pacer.wait()
    assert clock.waits_s == pytest.approx([0.1, 0.1])


def test_no_rate_is_no_wait() -> None:
    clock = WaitingClock()
    pacer = Pacer(0, clock=clock)
    for _ in range(100):
        pacer.wait()
    assert not clock.waits_s


def test_a_halt_ends_the_wait_for_a_frame_that_is_far_away() -> None:
    halt = threading.Event()
    halt.set()
    pacer = Pacer(0.001, halt)
    clock: Clock = SystemClock()
    started_ns = clock.ns()
    for _ in range(3):
        pacer.wait()
    assert clock.ns() - started_ns < _SECOND_NS


@given(
    fps=st.floats(5, 120),
    max_fps=st.floats(1, 120),
    jitter=st.floats(0, 0.3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_camera_gives_its_rate_or_the_most_that_is_asked(
    fps: float, max_fps: float, jitter: float, seed: int
) -> None:
    period_ns = 1e9 / fps
    frames = round(20 * fps)
    early = np.random.default_rng(seed).uniform(-jitter, jitter, frames) * period_ns
    times = np.sort(np.arange(frames) * period_ns + early).astype(int)
    gate = RateGate(max_fps)
    admitted = sum(gate.admits(int(now_ns)) for now_ns in times)
    asked = min(fps, max_fps) * 20
    assert admitted <= max_fps * 20 + 2
    assert admitted >= 0.9 * asked - 2


def test_a_gate_without_a_rate_admits_all() -> None:
    gate = RateGate(0)
    assert all(gate.admits(0) for _ in range(10))


def test_frames_that_come_in_a_burst_pass_one_at_a_time() -> None:
    gate = RateGate(10)
    assert [gate.admits(5 * _SECOND_NS) for _ in range(3)] == [True, False, False]
    burst = [gate.admits(9 * _SECOND_NS) for _ in range(5)]
    assert burst.count(True) <= 2


def test_the_same_bytes_are_frozen_only_after_the_time() -> None:
    watch = StillWatch(2)
    seen = [watch.frozen(picture(5), second * _SECOND_NS) for second in range(6)]
    assert seen == [False, False, False, False, True, True]


def test_any_change_of_a_picture_begins_anew() -> None:
    watch = StillWatch(2)
    assert not watch.frozen(picture(5), 0)
    assert not watch.frozen(picture(6), 3 * _SECOND_NS)
    assert not watch.frozen(picture(6), 4 * _SECOND_NS)
    assert not watch.frozen(picture(6), 6 * _SECOND_NS)
    assert watch.frozen(picture(6), 7 * _SECOND_NS)


def test_a_change_between_the_points_of_the_grid_is_seen_before_the_verdict() -> None:
    watch = StillWatch(2)
    still = picture(5, 480, 640)
    moved = still.copy()
    moved[1, 1] = 6
    assert not watch.frozen(still, 0)
    assert not watch.frozen(moved, 3 * _SECOND_NS)
    assert not watch.frozen(moved, 4 * _SECOND_NS)
    assert watch.frozen(moved, 6 * _SECOND_NS)


def test_a_picture_of_another_size_is_another_picture() -> None:
    watch = StillWatch(2)
    assert not watch.frozen(picture(5, 48, 64), 0)
    assert not watch.frozen(picture(5, 64, 48), 3 * _SECOND_NS)
