"""What counts as growth, and what is only the teeth of a saw."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.running import busy_line, running

from demo.vitals import MEASURES, Vitals, Watcher, growth, read_vitals, threads_at_rest
from devhub import DevHub
from visionedge.runtime.cores import cores

MEMORY, THREADS, DESCRIPTORS = MEASURES


def course(mib: Sequence[float], threads: int = 20, descriptors: int = 10) -> list[Vitals]:
    return [
        Vitals(at_s, 1, round(each * 2**20), threads, descriptors) for at_s, each in enumerate(mib)
    ]


def grown(mib: Sequence[float]) -> bool:
    middle, last = growth(course(mib), MEMORY)
    return last > middle + MEMORY.allowance


def test_what_comes_while_warming_up_is_no_growth() -> None:
    assert not grown([100 + 10 * min(n, 20) for n in range(60)])


def test_a_saw_tooth_is_no_growth() -> None:
    assert not grown([300 + 10 * (n % 9) for n in range(90)])


def test_a_leak_is_found_under_the_saw_tooth() -> None:
    assert grown([300 + 10 * (n % 9) + 2.5 * n for n in range(90)])


def test_steps_that_stay_are_growth() -> None:
    assert grown([300 + 60 * (n // 20) for n in range(90)])


def test_threads_and_descriptors_are_counted_as_well() -> None:
    seen = course([300] * 30)[:20] + course([300] * 30, threads=30, descriptors=40)[20:]
    assert growth(seen, THREADS) == (20, 30)
    assert growth(seen, DESCRIPTORS) == (10, 40)


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="11 samples say nothing"):
        growth(course([300] * 11), MEMORY)


def test_a_process_is_looked_at_and_one_that_has_ended_is_passed_over() -> None:
    vitals = read_vitals(os.getpid(), 1.0)
    assert vitals is not None
    assert vitals.resident_bytes > 10 * 2**20
    assert vitals.threads >= 1
    assert vitals.descriptors >= 3
    assert read_vitals(2**22 + 1, 1.0) is None


def test_a_watcher_looks_until_it_is_told_to_end() -> None:
    looked = threading.Event()
    with Watcher(os.getpid, lambda _: looked.set()) as watcher:
        assert looked.wait(10)
    assert watcher.seen[0].pid == os.getpid()
    assert not [each for each in threading.enumerate() if each.name == "vitals"]


def test_a_module_has_no_more_threads_than_are_explained_and_not_many_fewer(
    devhub: DevHub, tmp_path: Path
) -> None:
    # Not by number: that of a thread that ends goes to the next one.
    before = set(threading.enumerate())
    with running(busy_line(tmp_path)):
        devhub.wait(lambda: len(devhub.ids("escalation")) >= 2, timeout_s=40)
        fresh = [thread.name for thread in threading.enumerate() if thread not in before]
    # The main thread is that of the tests, the queues may be there, and the pools are empty yet.
    most = threads_at_rest(cores(), cameras=1) - 1
    assert most - 24 <= len(fresh) <= most, sorted(fresh)
