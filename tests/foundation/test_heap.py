"""Freed memory goes back to the system, and only where there is reason to."""

import ctypes
import subprocess
import sys

import pytest

from visionedge.runtime.clock import FakeClock
from visionedge.runtime.heap import Heap, resident_bytes

MIB = 2**20


class Resident:
    """A process: memory that a test sets, and that a trim brings down to what is in use."""

    def __init__(self, used_mib: int) -> None:
        self.used_mib = self.resident_mib = used_mib
        self.trims = 0

    def trim(self) -> None:
        self.trims += 1
        self.resident_mib = self.used_mib

    def resident(self) -> int:
        return self.resident_mib * MIB


def look(heap: Heap, clock: FakeClock) -> None:
    clock.advance(5)
    heap.relieve()


def steady(held: Resident) -> tuple[Heap, FakeClock]:
    """A heap that has given back what the start left, and nothing else is due."""
    clock = FakeClock()
    heap = Heap(held.trim, held.resident, growth_bytes=50 * MIB, every_s=5, clock=clock)
    for _ in range(14):
        look(heap, clock)
    held.trims = 0
    return heap, clock


def test_what_the_start_left_is_given_back_at_once_and_a_minute_later() -> None:
    clock, held = FakeClock(), Resident(200)
    heap = Heap(held.trim, held.resident, growth_bytes=50 * MIB, every_s=5, clock=clock)
    held.resident_mib = 220
    look(heap, clock)
    assert (held.trims, held.resident_mib) == (1, 200)
    for _ in range(50):
        look(heap, clock)
    assert held.trims == 2


def test_a_process_that_has_grown_is_trimmed_and_measured_anew() -> None:
    held = Resident(200)
    heap, clock = steady(held)
    held.resident_mib = 249
    look(heap, clock)
    assert held.trims == 0
    held.used_mib, held.resident_mib = 230, 250
    look(heap, clock)
    assert held.trims == 1
    held.resident_mib = 279
    look(heap, clock)
    assert held.trims == 1
    held.resident_mib = 280
    look(heap, clock)
    assert held.trims == 2


def test_growth_counts_from_the_least_that_was_seen() -> None:
    held = Resident(300)
    heap, clock = steady(held)
    for mib in (300, 200, 251):
        held.resident_mib = mib
        look(heap, clock)
    assert held.trims == 1


def test_what_was_in_use_at_a_trim_is_given_back_by_one_more_a_minute_later() -> None:
    held = Resident(300)
    heap, clock = steady(held)
    held.used_mib, held.resident_mib = 340, 360
    look(heap, clock)
    held.used_mib = 300
    for _ in range(11):
        look(heap, clock)
    assert (held.trims, held.resident_mib) == (1, 340)
    for _ in range(50):
        look(heap, clock)
    assert (held.trims, held.resident_mib) == (2, 300)


def test_it_looks_no_more_often_than_it_was_told() -> None:
    held = Resident(100)
    heap, clock = steady(held)
    held.resident_mib = 500
    clock.advance(4.9)
    heap.relieve()
    assert held.trims == 0
    clock.advance(0.1)
    heap.relieve()
    assert held.trims == 1


def test_without_a_trim_nothing_is_done() -> None:
    clock, held = FakeClock(), Resident(100)
    heap = Heap(None, held.resident, clock=clock)
    for mib in (100, 900):
        held.resident_mib = mib
        look(heap, clock)
    assert held.resident_mib == 900


_FRAGMENTED = """
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.heap import resident_bytes, system_heap

clock = FakeClock()
heap = system_heap(clock)
for _ in range(2):
    heap.relieve()
    clock.advance(60)
# Below the size from which malloc maps blocks; every second one stays, between the freed.
blocks = [bytearray(b"x" * 60_000) for _ in range(4000)]
kept = blocks[1::2]
del blocks
freed = resident_bytes()
clock.advance(60)
heap.relieve()
print(freed - resident_bytes())
"""


def test_the_system_takes_back_what_python_freed() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim") or not resident_bytes():
        pytest.skip("this libc has no malloc_trim, or there is no /proc")
    # A process of its own: in this one such blocks fit into what other tests have freed.
    done = subprocess.run(
        [sys.executable, "-c", _FRAGMENTED], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 60 * MIB
