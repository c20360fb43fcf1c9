"""The floor of a video: each frame is read, and run once, by as many threads as were asked for."""

import threading

import pytest
from bench.overlap import beside
from bench.report import Unavailable


def test_each_frame_that_is_read_is_run_once() -> None:
    read: list[None] = []
    run: list[None] = []
    sample = beside(lambda: read.append(None), lambda: run.append(None), 2, 0.0)(0)
    assert len(read) == len(run) == 1
    assert sample.wall_s > 0


def test_frames_are_run_by_all_threads_at_once_and_by_no_more() -> None:
    lock, left, now, most = threading.Lock(), iter(range(4)), 0, 0
    # Passed by two at once, or not at all.
    both = threading.Barrier(2)

    def read() -> None:
        if next(left, None) is None:
            raise Unavailable("no frame is left")

    def run() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait(10)
        with lock:
            now -= 1

    with pytest.raises(Unavailable, match="no frame"):
        beside(read, run, 2, 3600)(0)
    assert (now, most) == (0, 2)
