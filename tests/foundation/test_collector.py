"""Looking at the stacks of all threads must not stop them for ever."""

import gc
import subprocess
import sys
import threading

import pytest

from visionedge.runtime.collector import paused, uncollected

RELEASES = """
import gc, os, threading, weakref
from visionedge.runtime.worker import Caller

class Ring:
    def __init__(self):
        self.itself = self

kept = []

def litter():
    # Rings that only a collection finds, whose end lets other threads run, as a closed socket does.
    while True:
        ring = Ring()
        kept.append(weakref.ref(ring, lambda _: os.stat("/")))
        del ring, kept[:-50]
        deep(40)

def deep(depth):
    return deep(depth - 1) if depth else os.stat("/")

def come_and_go():
    while True:
        threads = [threading.Thread(target=deep, args=(3,)) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()

for work in (litter, litter, come_and_go):
    threading.Thread(target=work, daemon=True).start()
gc.set_threshold(5, 2, 2)
for _ in range(1000):
    caller = Caller("parked")
    try:
        caller.call(threading.Event().wait, 0.001)
    except TimeoutError:
        pass
    caller.close()
    caller.release()
print("released", flush=True)
os._exit(0)
"""
"""A module whose threads come and go while calls that hang are released again and again."""


@pytest.mark.slow
def test_a_collection_in_a_bad_moment_does_not_stop_the_process() -> None:
    told = subprocess.run(
        [sys.executable, "-c", RELEASES], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout == "released\n"


def test_the_last_who_wants_no_collection_lets_it_go_on() -> None:
    done, begun = threading.Event(), threading.Event()

    def other() -> None:
        with paused():
            begun.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    with uncollected():
        thread.start()
        assert begun.wait(10)
    assert not gc.isenabled()
    done.set()
    thread.join()
    assert gc.isenabled()
