"""Blocking calls under a deadline of ours, whatever they do."""

import gc
import sys
import threading
import time
import weakref

import pytest

from visionedge.runtime.worker import Caller

DEADLINE_S = 10
NOW_S = 0.05


@pytest.fixture
def parked() -> threading.Event:
    """Set it to let parked calls go."""
    return threading.Event()


def test_the_answer_of_a_call_is_returned() -> None:
    caller = Caller("sdk")
    assert caller.call(lambda: 42, DEADLINE_S) == 42
    assert caller.call(lambda: None, DEADLINE_S) is None
    caller.close()


def test_what_a_call_raises_is_raised() -> None:
    caller = Caller("sdk")

    def fail() -> None:
        raise KeyError("no such twin")

    with pytest.raises(KeyError, match="no such twin"):
        caller.call(fail, DEADLINE_S)
    assert caller.abandoned == 0
    caller.close()


def test_calls_run_one_after_another_in_one_thread_of_the_callers_name() -> None:
    caller = Caller("sdk")
    threads = {caller.call(threading.current_thread, DEADLINE_S) for _ in range(3)}
    assert [(thread.name, thread.daemon) for thread in threads] == [("sdk", True)]
    caller.close()


def test_a_call_that_misses_its_deadline_is_abandoned_and_the_next_one_runs(
    parked: threading.Event,
) -> None:
    caller = Caller("sdk")
    with pytest.raises(TimeoutError, match=r"sdk: no answer within 0\.05 s"):
        caller.call(lambda: parked.wait(DEADLINE_S), NOW_S)
    assert caller.abandoned == 1
    assert caller.call(lambda: "well", DEADLINE_S) == "well"
    parked.set()
    caller.close()


def test_the_thread_of_an_abandoned_call_ends_when_the_call_comes_back(
    parked: threading.Event,
) -> None:
    caller = Caller("sdk")
    threads: list[threading.Thread] = []

    def park() -> None:
        threads.append(threading.current_thread())
        parked.wait(DEADLINE_S)

    with pytest.raises(TimeoutError):
        caller.call(park, NOW_S)
    parked.set()
    threads[0].join(DEADLINE_S)
    assert not threads[0].is_alive()
    caller.close()


def test_waiting_for_an_earlier_call_counts_against_the_deadline(parked: threading.Event) -> None:
    caller, other = Caller("sdk"), Caller("other")
    running = threading.Event()

    def park() -> bool:
        running.set()
        return parked.wait(DEADLINE_S)

    def first() -> bool:
        return caller.call(park, DEADLINE_S)

    with pytest.raises(TimeoutError):
        other.call(first, NOW_S)
    assert running.wait(DEADLINE_S)
    started_ns = time.monotonic_ns()
    with pytest.raises(TimeoutError):
        caller.call(lambda: "late", NOW_S)
    assert time.monotonic_ns() - started_ns < DEADLINE_S * 1e9
    parked.set()


def test_an_interrupted_call_is_abandoned_before_its_time(parked: threading.Event) -> None:
    caller = Caller("sdk")
    running, raised = threading.Event(), threading.Event()

    def park() -> None:
        running.set()
        parked.wait(DEADLINE_S)

    def wait() -> None:
        with pytest.raises(TimeoutError, match="sdk: given up before it answered"):
            caller.call(park, 100 * DEADLINE_S)
        raised.set()

    caller.interrupt()
    waiting = threading.Thread(target=wait)
    waiting.start()
    assert running.wait(DEADLINE_S)
    caller.interrupt()
    assert raised.wait(DEADLINE_S)
    assert caller.abandoned == 1
    assert caller.call(lambda: "well", DEADLINE_S) == "well"
    caller.interrupt()
    assert caller.call(lambda: "still", DEADLINE_S) == "still"
    parked.set()
    waiting.join(DEADLINE_S)
    caller.close()


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_deadline_that_is_over_never_waits_for_ever(
    parked: threading.Event, timeout_s: float
) -> None:
    caller = Caller("sdk")
    with pytest.raises(TimeoutError):
        caller.call(lambda: parked.wait(DEADLINE_S), timeout_s)
    parked.set()


def test_a_closed_caller_ends_its_thread_and_can_be_used_again() -> None:
    caller = Caller("sdk")
    thread = caller.call(threading.current_thread, DEADLINE_S)
    caller.close()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert caller.call(lambda: 1, DEADLINE_S) == 1
    caller.close()
    caller.close()


def parked_thread(name: str) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == name]


def test_an_abandoned_call_that_waits_for_an_event_for_ever_can_be_released() -> None:
    caller = Caller("parked-for-ever")
    never = threading.Event()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            caller.call(never.wait, NOW_S)
    threads = parked_thread("parked-for-ever")
    assert len(threads) == 3
    caller.close()
    caller.release()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert parked_thread("parked-for-ever") == []


def test_a_release_goes_on_for_a_while_where_a_call_waits_for_one_event_after_another() -> None:
    caller = Caller("one-after-another")

    def wait_often() -> None:
        for _ in range(3):
            threading.Event().wait()

    with pytest.raises(TimeoutError):
        caller.call(wait_often, NOW_S)
    (thread,) = parked_thread("one-after-another")
    caller.release(DEADLINE_S)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    caller.close()


def test_a_release_leaves_calls_in_use_and_other_waits_alone(parked: threading.Event) -> None:
    caller = Caller("released")
    gate = threading.Lock()
    gate.acquire()
    with pytest.raises(TimeoutError):
        caller.call(gate.acquire, NOW_S)
    caller.release()
    assert len(parked_thread("released")) == 1
    gate.release()
    assert caller.call(lambda: "well", DEADLINE_S) == "well"
    caller.release()
    assert caller.call(lambda: "still", DEADLINE_S) == "still"
    assert not parked.is_set()
    caller.close()


def test_a_release_takes_no_other_thread_for_one_that_has_come_back(
    parked: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system gives the number of a thread that has ended to the next one that begins."""
    caller = Caller("came-back")
    with pytest.raises(TimeoutError):
        caller.call(lambda: parked.wait(DEADLINE_S), NOW_S)
    (late,) = parked_thread("came-back")
    parked.set()
    late.join(DEADLINE_S)
    innocent = threading.Event()
    other = threading.Thread(target=innocent.wait, args=(DEADLINE_S,))
    other.start()
    frames = {late.ident: sys._current_frames()[other.ident or 0]}
    monkeypatch.setattr(sys, "_current_frames", lambda: frames)
    caller.release()
    assert not innocent.is_set()
    innocent.set()
    other.join(DEADLINE_S)
    caller.close()


def test_a_caller_keeps_nothing_alive_that_a_late_call_knew(parked: threading.Event) -> None:
    """A client that is known by its own caller would wait for the collector, with its threads."""

    class Client:
        def __init__(self) -> None:
            self.caller = Caller("own")

        def wait(self) -> bool:
            return parked.wait(DEADLINE_S)

    client = Client()
    caller, gone = client.caller, weakref.ref(client)
    gc.disable()
    try:
        with pytest.raises(TimeoutError):
            caller.call(client.wait, NOW_S)
        (late,) = parked_thread("own")
        parked.set()
        late.join(DEADLINE_S)
        del client
        assert gone() is None
    finally:
        gc.enable()
    caller.close()
