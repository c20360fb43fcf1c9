"""The feed in fair weather: the newest frame, numbered, counted, paced, paused, stopped."""

import logging
import weakref

import numpy as np
import pytest
from tests.cameras.feeds import NAME, FeedBench, started
from tests.support.cameras import DEADLINE_S, FakeCamera, picture

from visionedge.cameras.feed import CameraState
from visionedge.cameras.pattern import line_spec
from visionedge.cameras.registry import make_source
from visionedge.cameras.scene import VirtualLine
from visionedge.errors import CameraUnavailable
from visionedge.runtime.clock import FakeClock
from visionedge.settings import PatternCamera, StreamCamera


def test_a_frame_comes_with_camera_number_and_times() -> None:
    clock = FakeClock()
    with started(FeedBench(FakeCamera(picture(9)), clock=clock)) as bench:
        frame = bench.take()
    assert (frame.camera_id, frame.seq) == (NAME, 0)
    assert (frame.captured_at, frame.captured_ns) == (clock.utc(), clock.ns())
    assert np.array_equal(frame.image, picture(9))


def test_nobody_can_draw_on_a_frame() -> None:
    with started(FeedBench(FakeCamera(picture(9)))) as bench:
        frame = bench.take()
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 0


def test_a_frame_that_was_taken_is_held_by_nobody_else_while_the_next_is_waited_for() -> None:
    camera = FakeCamera(picture(9))
    with started(FeedBench(camera)) as bench:
        camera.wait_until("retrieved")
        camera.wait_until("waiting")
        held = weakref.ref(bench.take().image)
        assert held() is None


def test_the_newest_frame_is_what_a_worker_gets() -> None:
    camera = FakeCamera(*(picture(value) for value in range(10)))
    with started(FeedBench(camera)) as bench:
        camera.wait_until("retrieved", 10)
        camera.wait_until("waiting")
        frame = bench.take()
        assert (frame.seq, int(frame.image[0, 0, 0])) == (9, 9)
        assert bench.dropped("replaced") == 9


def test_a_patient_camera_waits_until_its_frame_is_taken() -> None:
    camera = FakeCamera(*(picture(value) for value in range(5)), patient=True)
    with started(FeedBench(camera)) as bench:
        camera.wait_until("retrieved", 2)
        assert [bench.take().seq for _ in range(5)] == [0, 1, 2, 3, 4]
        assert bench.dropped("replaced") == 0


def test_a_patient_camera_that_is_paused_counts_the_frame_in_its_hand() -> None:
    camera = FakeCamera(picture(0), picture(1), patient=True)
    with started(FeedBench(camera)) as bench:
        bench.wait_until_counted(2)
        bench.feed.pause()
        bench.states.wait_for(CameraState.PAUSED)
        assert bench.dropped("stopped") == 1
        assert bench.take().seq == 0


def test_frames_and_their_bytes_are_counted() -> None:
    camera = FakeCamera(picture(1), picture(2))
    with started(FeedBench(camera)) as bench:
        camera.wait_until("waiting")
        assert bench.value("frames_captured_total") == 2
        assert bench.value("frame_bytes_total") == 2 * picture(1).nbytes
        assert bench.value("camera_up") == 1


def test_frames_above_the_rate_are_grabbed_and_not_retrieved() -> None:
    settings = StreamCamera(kind="stream", url="rtsp://camera/line", max_fps=1)
    camera = FakeCamera(*(picture(value) for value in range(5)))
    with started(FeedBench(camera, settings=settings, clock=FakeClock())) as bench:
        camera.wait_until("waiting")
        assert camera.retrieved == 1
        assert bench.dropped("rate") == 4
        assert bench.value("frames_captured_total") == 5
        assert bench.value("frame_bytes_total") == 5 * picture(0).nbytes


def test_the_rate_lets_the_next_frame_through_when_it_is_due() -> None:
    settings = StreamCamera(kind="stream", url="rtsp://camera/line", max_fps=1)
    clock = FakeClock()
    camera = FakeCamera(picture(0), picture(1))
    with started(FeedBench(camera, settings=settings, clock=clock)) as bench:
        assert bench.take().seq == 0
        camera.wait_until("waiting")
        clock.advance(1)
        camera.send(picture(2))
        assert bench.take().seq == 2


def test_the_virtual_line_numbers_its_frames_as_its_scenes() -> None:
    settings = PatternCamera(width_px=320, height_px=240, fps=100, defect_rate=5)
    line = VirtualLine(line_spec(settings))
    with started(FeedBench(settings=settings, make=make_source)) as bench:
        for _ in range(3):
            frame = bench.take()
            assert np.array_equal(frame.image, line.render(frame.seq))
            assert frame.truth is not None


def test_a_pause_lets_the_camera_go_and_a_resume_opens_it_again() -> None:
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera)) as bench:
        bench.take()
        bench.feed.pause()
        camera.send(picture(2))
        camera.wait_until("closed")
        bench.states.wait_for(CameraState.PAUSED)
        assert bench.value("camera_up") == 0
        bench.feed.resume()
        camera.wait_until("opened", 2)
        camera.send(picture(3))
        assert int(bench.take().image[0, 0, 0]) == 3
    assert bench.states.names()[:5] == [
        CameraState.OPENING,
        CameraState.RUNNING,
        CameraState.PAUSED,
        CameraState.OPENING,
        CameraState.RUNNING,
    ]


def test_a_frame_grabbed_while_the_pause_came_is_not_given() -> None:
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera)) as bench:
        bench.take()
        bench.feed.pause()
        camera.send(picture(2))
        bench.states.wait_for(CameraState.PAUSED)
        assert not bench.slots.is_waiting(NAME)


def test_an_end_is_reported_and_the_worker_is_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    camera = FakeCamera(picture(1))
    camera.end()
    with started(FeedBench(camera)) as bench:
        assert "ended" in bench.states.wait_for(CameraState.ENDED)
        assert bench.take().seq == 0
        assert bench.feed.stop(DEADLINE_S)
    assert camera.closed == 1
    assert bench.value("camera_up") == 0
    assert [r.levelname for r in caplog.records] == ["INFO", "INFO"]


def test_a_stop_closes_the_camera_and_takes_the_waiting_frame_back() -> None:
    camera = FakeCamera(picture(1), timeout_s=0.2)
    with started(FeedBench(camera)) as bench:
        camera.wait_until("waiting")
        assert bench.feed.stop(DEADLINE_S)
        assert camera.closed == 1
        assert not bench.slots.is_waiting(NAME)
        assert bench.dropped("stopped") == 1


def test_a_stop_ends_a_pause_and_a_wait_for_the_next_attempt() -> None:
    paused = FeedBench(FakeCamera(picture(1), timeout_s=0.2))
    with started(paused):
        paused.feed.pause()
        paused.states.wait_for(CameraState.PAUSED)
        assert paused.feed.stop(DEADLINE_S)
    away = FakeCamera()
    away.refuse(CameraUnavailable("away"))
    waiting = FeedBench(away, pause_s=1000)
    with started(waiting):
        waiting.states.wait_for(CameraState.LOST)
        assert waiting.feed.stop(DEADLINE_S)


def test_a_stopped_feed_does_not_resume() -> None:
    bench = FeedBench(FakeCamera(timeout_s=0.2))
    with started(bench):
        bench.feed.pause()
        bench.feed.stop(DEADLINE_S)
        bench.feed.resume()
        bench.feed.pause()
        assert bench.feed.stop(DEADLINE_S)


def test_a_feed_that_never_started_can_be_stopped() -> None:
    assert FeedBench(FakeCamera()).feed.stop(0.1)


def test_slots_that_closed_take_no_frame() -> None:
    camera = FakeCamera(picture(1))
    bench = FeedBench(camera)
    bench.slots.close()
    with started(bench):
        camera.wait_until("waiting")
        assert bench.dropped("stopped") == 1
