"""Memory of frames: used again when nobody looks at it, and never before."""

import threading

import numpy as np

from visionedge.cameras.buffers import FrameBuffers


def frame(value: int, height: int = 4) -> np.ndarray:
    return np.full((height, 6, 3), value, np.uint8)


def test_a_frame_that_somebody_looks_at_is_not_written_over() -> None:
    buffers = FrameBuffers()
    seen = buffers.lend(frame(1))
    assert buffers.idle() is None
    assert (seen == 1).all()


def test_a_frame_that_nobody_looks_at_is_used_again() -> None:
    buffers = FrameBuffers()
    seen = buffers.lend(frame(1))
    address = seen.ctypes.data
    del seen
    again = buffers.idle()
    assert again is not None
    assert again.ctypes.data == address


def test_a_part_of_a_frame_keeps_all_of_it() -> None:
    buffers = FrameBuffers()
    part = buffers.lend(frame(1))[1:3, ::2, 1][:, 1:]
    assert buffers.idle() is None
    del part
    assert buffers.idle() is not None


def test_a_frame_held_by_another_thread_is_left_alone_until_that_lets_go() -> None:
    buffers = FrameBuffers()
    held = [buffers.lend(frame(1))]
    go = threading.Event()

    def look() -> None:
        mine = held.pop()
        assert go.wait(10)
        del mine

    thread = threading.Thread(target=look)
    thread.start()
    assert buffers.idle() is None
    go.set()
    thread.join(10)
    assert buffers.idle() is not None


def test_frames_of_another_size_replace_those_before() -> None:
    buffers = FrameBuffers()
    buffers.lend(frame(1, height=4))
    assert buffers.idle() is not None
    buffers.lend(frame(2, height=8))
    idle = buffers.idle()
    assert idle is not None
    assert idle.shape == (8, 6, 3)


def test_a_burst_is_not_kept() -> None:
    buffers = FrameBuffers(most=2)
    seen = [buffers.lend(frame(n)) for n in range(5)]
    assert [int(each[0, 0, 0]) for each in seen] == [0, 1, 2, 3, 4]
    del seen
    first = buffers.idle()
    assert first is not None
    one = buffers.lend(first)
    second = buffers.idle()
    assert second is not None
    assert second is not first
    other = buffers.lend(second)
    assert buffers.idle() is None
    assert one.base is not other.base
