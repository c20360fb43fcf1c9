"""Workers outlive their jobs' crashes and tell when they are stuck; time is held still."""

import logging
import threading

import pytest

from visionedge.runtime.backoff import Backoff
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.worker import Worker

DEADLINE_S = 10


class Steps:
    """A count that tests can wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def add(self) -> int:
        with self._changed:
            self.count += 1
            self._changed.notify_all()
            return self.count

    def step(self) -> None:
        self.add()

    def reach(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, DEADLINE_S)


class LeapingClock(FakeClock):
    """Whoever waits carries the time forward himself, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waits_s.append(timeout_s)
        self.advance(timeout_s)
        return event.is_set()


def test_a_job_runs_in_a_daemon_thread_of_the_workers_name() -> None:
    seen: list[threading.Thread] = []
    worker = Worker("camera/line-1", lambda _: seen.append(threading.current_thread())).start()
    assert worker.stop(DEADLINE_S)
    assert [(thread.name, thread.daemon) for thread in seen] == [("camera/line-1", True)]


def test_a_job_that_returns_is_done() -> None:
    runs = Steps()
    worker = Worker("once", lambda _: runs.step()).start()
    assert runs.reach(1)
    assert worker.stop(DEADLINE_S)
    assert runs.count == 1
    assert not worker.stuck


def test_a_crashed_job_starts_again_after_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    clock, runs = LeapingClock(), Steps()

    def job(_: Worker) -> None:
        if runs.add() == 1:
            raise ValueError("the lens fell off")

    crashed: list[Exception] = []
    worker = Worker("eye", job, on_crash=lambda _, error: crashed.append(error), clock=clock)
    with caplog.at_level(logging.ERROR):
        worker.start()
        assert runs.reach(2)
    assert worker.stop(DEADLINE_S)
    assert [str(error) for error in crashed] == ["the lens fell off"]
    assert len(clock.waits_s) == 1
    assert 0.25 <= clock.waits_s[0] <= 0.5
    assert "worker eye crashed and starts again" in caplog.text


def test_pauses_grow_while_a_job_keeps_crashing_and_begin_anew_after_a_good_run() -> None:
    clock, runs = LeapingClock(), Steps()

    def job(_: Worker) -> None:
        count = runs.add()
        if count == 5:
            clock.advance(60)
        if count <= 5:
            raise ValueError("again")

    worker = Worker("eye", job, backoff=Backoff(first_s=1, max_s=8), clock=clock).start()
    assert runs.reach(6)
    assert worker.stop(DEADLINE_S)
    steps_s = [1, 2, 4, 8, 1]
    assert [s / 2 <= w <= s for w, s in zip(clock.waits_s, steps_s, strict=True)] == [True] * 5


def test_a_crash_that_cannot_be_counted_does_not_end_the_worker() -> None:
    clock, runs = LeapingClock(), Steps()

    def job(_: Worker) -> None:
        if runs.add() == 1:
            raise ValueError("first")

    def on_crash(_: Worker, __: Exception) -> None:
        raise KeyError("no such metric")

    worker = Worker("eye", job, on_crash=on_crash, clock=clock).start()
    assert runs.reach(2)
    assert worker.stop(DEADLINE_S)


def test_a_worker_without_a_sign_of_life_is_stuck_until_it_gives_one() -> None:
    clock, release, beaten = FakeClock(), threading.Event(), threading.Event()

    def job(worker: Worker) -> None:
        release.wait(DEADLINE_S)
        worker.beat()
        beaten.set()
        worker.wait(3600)

    worker = Worker("eye", job, stuck_after_s=5, clock=clock).start()
    stuck = []
    for pause_s in (5, 1):
        clock.advance(pause_s)
        stuck.append(worker.stuck)
    release.set()
    assert beaten.wait(DEADLINE_S)
    stuck.append(worker.stuck)
    assert worker.stop(DEADLINE_S)
    clock.advance(3600)
    assert [*stuck, worker.stuck] == ["", "no sign of life for 6 s", "", ""]


def test_a_pause_after_a_crash_is_not_being_stuck() -> None:
    clock, crashed = FakeClock(), threading.Event()

    def job(_: Worker) -> None:
        raise ValueError("again")

    worker = Worker(
        "eye",
        job,
        stuck_after_s=5,
        backoff=Backoff(first_s=1000, max_s=1000),
        on_crash=lambda *_: crashed.set(),
        clock=clock,
    ).start()
    assert crashed.wait(DEADLINE_S)
    clock.advance(400)
    assert not worker.stuck
    assert worker.stop(DEADLINE_S)


def test_a_job_that_does_not_end_in_time_is_told_of_and_left() -> None:
    release = threading.Event()

    def job(_: Worker) -> None:
        release.wait(DEADLINE_S)

    worker = Worker("deaf", job).start()
    assert not worker.stop(0)
    assert worker.alive
    release.set()
    assert worker.stop(DEADLINE_S)


def test_a_worker_that_never_started_stops_at_once() -> None:
    assert Worker("idle", lambda _: None).stop(0)
