"""The floor of a video: each frame is read, and run once, by as many threads as were asked for."""

import threading
from collections.abc import Callable

import pytest
from bench.overlap import beside
from bench.report import Unavailable


def test_each_frame_that_is_read_is_run_once() -> None:
    read: list[str] = []
    run: list[str] = []

    def frame() -> str:
        read.append("frame")
        return "frame"

    sample = beside(frame, lambda: run.append, 2, 0.0)(0)
    assert read == run == ["frame"]
    assert sample.wall_s > 0


def test_frames_are_run_by_all_threads_at_once_and_by_no_more() -> None:
    lock, left, now, most = threading.Lock(), iter(range(4)), 0, 0
    # Passed by two at once, or not at all.
    both = threading.Barrier(2)

    def read() -> None:
        if next(left, None) is None:
            raise Unavailable("no frame is left")

    def run(_: None) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait(10)
        with lock:
            now -= 1

    with pytest.raises(Unavailable, match="no frame"):
        beside(read, lambda: run, 2, 3600)(0)
    assert (now, most) == (0, 2)


def test_each_thread_looks_by_something_of_its_own() -> None:
    made: list[set[int]] = []
    left, both = iter(range(2)), threading.Barrier(2)

    def read() -> None:
        if next(left, None) is None:
            raise Unavailable("no frame is left")

    def make() -> Callable[[None], None]:
        users: set[int] = set()
        made.append(users)

        def look(_: None) -> None:
            users.add(threading.get_ident())
            both.wait(10)

        return look

    with pytest.raises(Unavailable, match="no frame"):
        beside(read, make, 2, 3600)(0)
    assert [len(users) for users in made] == [1, 1]
    assert made[0] != made[1]
