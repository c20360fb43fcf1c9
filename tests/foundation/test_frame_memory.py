"""Memory of frames: used again when nobody looks at it, never before, and given back."""

import gc
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.cameras.videos import number_of, write_video

from visionedge.cameras.capture import Capture
from visionedge.entities import Image
from visionedge.runtime.frame_memory import FrameMemory
from visionedge.runtime.heap import resident_bytes

SHAPE = (4, 6, 3)
LARGE = (1024, 2048, 3)
LARGE_BYTES = 1024 * 2048 * 3


def filled(memory: FrameMemory, value: int, shape: tuple[int, ...] = SHAPE) -> Image:
    array = memory.array(shape)
    array[...] = value
    return array


def address(array: Image) -> int:
    return int(array.ctypes.data)


def test_a_frame_that_somebody_looks_at_is_not_written_over() -> None:
    memory = FrameMemory()
    seen = [filled(memory, value) for value in range(9)]
    assert [int(each.min()) for each in seen] == [int(each.max()) for each in seen] == [*range(9)]


@pytest.mark.parametrize("shape", [SHAPE, (720, 1280, 3), (1080, 1920, 3)])
def test_a_frame_that_nobody_looks_at_is_used_again(shape: tuple[int, ...]) -> None:
    memory = FrameMemory()
    seen = filled(memory, 1, shape)
    where = address(seen)
    del seen
    again = memory.array(shape)
    assert address(again) == where
    assert again.shape == shape
    assert again.flags.c_contiguous


def test_a_part_of_a_frame_keeps_all_of_it() -> None:
    memory = FrameMemory()
    seen = filled(memory, 1)
    where = address(seen)
    part = seen[1:3, ::2, 1][:, 1:].T.reshape(-1)[:2].view()
    whole = seen.reshape(-1)
    del seen
    other = filled(memory, 2)
    assert address(other) != where
    assert (part == 1).all()
    del part
    assert address(memory.array(SHAPE)) != where
    assert (whole == 1).all()
    del whole
    assert address(memory.array(SHAPE)) == where


def test_a_buffer_of_a_frame_keeps_it() -> None:
    memory = FrameMemory()
    seen = filled(memory, 7)
    raw = seen.data
    del seen
    filled(memory, 8)
    assert bytes(raw) == bytes([7]) * len(bytes(raw))


def test_who_made_a_frame_read_only_did_so_for_that_frame() -> None:
    memory = FrameMemory()
    seen = memory.array(SHAPE)
    seen.flags.writeable = False
    del seen
    assert memory.array(SHAPE).flags.writeable


def test_a_frame_held_by_another_thread_is_left_alone_until_that_lets_go() -> None:
    memory = FrameMemory()
    held = [filled(memory, 1)]
    where = address(held[0])
    go = threading.Event()

    def look() -> None:
        mine = held.pop()
        assert go.wait(10)
        del mine

    thread = threading.Thread(target=look)
    thread.start()
    assert address(memory.array(SHAPE)) != where
    go.set()
    thread.join(10)
    assert where in {address(each) for each in [memory.array(SHAPE) for _ in range(2)]}


def test_cameras_at_once_never_write_into_the_same_frame() -> None:
    memory = FrameMemory(most_idle=2)
    spoiled: list[int] = []
    begin = threading.Barrier(6)

    def write(value: int) -> None:
        begin.wait(10)
        before = filled(memory, value)
        for _ in range(500):
            now = filled(memory, value)
            if not (before == value).all():
                spoiled.append(value)
            before = now

    threads = [threading.Thread(target=write, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert spoiled == []


def test_what_a_burst_needed_goes_back_to_the_system_at_once() -> None:
    if not resident_bytes():
        pytest.skip("the system does not tell what is resident")
    memory = FrameMemory(most_idle=2)
    gc.collect()
    before = resident_bytes()
    burst = [filled(memory, 1, LARGE) for _ in range(12)]
    assert resident_bytes() - before >= 11 * LARGE_BYTES
    del burst
    assert resident_bytes() - before <= 4 * LARGE_BYTES


def test_a_small_frame_asks_for_no_more_than_it_needs() -> None:
    if not resident_bytes():
        pytest.skip("the system does not tell what is resident")
    memory = FrameMemory()
    shape = (720, 1280, 3)
    before = resident_bytes()
    seen = [filled(memory, 1, shape) for _ in range(12)]
    # With a second huge page each would take 4.2 in place of 2.8 MB.
    assert resident_bytes() - before <= 1.25 * sum(each.nbytes for each in seen)


def test_frames_of_a_size_that_is_gone_are_given_back() -> None:
    memory = FrameMemory(most_idle=2)
    small = [filled(memory, 1, SHAPE) for _ in range(2)]
    where = {address(each) for each in small}
    del small
    large = [filled(memory, 2, (8, 6, 3)) for _ in range(2)]
    kept = {address(each) for each in large}
    del large
    assert {address(each) for each in [memory.array((8, 6, 3)) for _ in range(2)]} == kept
    assert not kept & where


def test_cameras_of_two_sizes_share_what_is_kept() -> None:
    memory = FrameMemory()
    sizes = (SHAPE, (8, 6, 3))
    first = [filled(memory, 1, shape) for shape in sizes]
    where = [address(each) for each in first]
    del first
    for _ in range(3):
        assert [address(memory.array(shape)) for shape in sizes] == where


def test_a_capture_writes_where_its_last_frames_were_and_never_over_one_in_use(
    tmp_path: Path,
) -> None:
    memory = FrameMemory()
    capture = Capture(memory)
    assert capture.open(str(write_video(tmp_path / "v.avi", count=8)), cv2.CAP_FFMPEG)
    held: list[Image] = []
    places: list[int] = []
    for number in range(8):
        assert capture.grab()
        image = capture.retrieve()
        places.append(address(image))
        if number < 3:
            held.append(image)
        del image
    capture.close()
    assert [number_of(each, 8) for each in held] == [0, 1, 2]
    assert len(set(places)) == 4
    assert len(set(places[3:])) == 1


def test_a_stream_that_changes_its_size_goes_on(tmp_path: Path) -> None:
    memory = FrameMemory()
    capture = Capture(memory)
    small = write_video(tmp_path / "small.avi")
    large = tmp_path / "large.avi"
    writer = cv2.VideoWriter(
        str(large), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (320, 224)
    )
    for _ in range(2):
        writer.write(np.full((224, 320, 3), 90, np.uint8))
    writer.release()
    shapes = []
    for path in (small, large, small):
        assert capture.open(str(path), cv2.CAP_FFMPEG)
        for _ in range(2):
            assert capture.grab()
            shapes.append(capture.retrieve().shape)
    capture.close()
    assert shapes == [(112, 160, 3)] * 2 + [(224, 320, 3)] * 2 + [(112, 160, 3)] * 2
