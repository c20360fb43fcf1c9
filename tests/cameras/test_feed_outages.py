"""The feed in foul weather: lost, refused, frozen, damaged, and parked cameras."""

import logging
from typing import Final

import pytest
from tests.cameras.feeds import FeedBench, started
from tests.support.cameras import DEADLINE_S, FakeCamera, picture

from visionedge.cameras.feed import MAX_PARKED, CameraState
from visionedge.errors import CameraUnavailable
from visionedge.runtime.clock import FakeClock
from visionedge.settings import FileCamera, StreamCamera

_SECRET: Final = "s3cret"
_SLACK_S: Final = 0.2


def _lost(detail: str = "the cable is out") -> CameraUnavailable:
    return CameraUnavailable(detail, hint="plug it in")


def test_a_lost_camera_is_opened_again_and_its_frames_go_on_counting() -> None:
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera)) as bench:
        assert bench.take().seq == 0
        camera.send(_lost(), picture(2))
        assert bench.take().seq == 1
        assert "plug it in" in bench.states.wait_for(CameraState.LOST)
        bench.states.wait_for(CameraState.RUNNING, 2)
        assert (camera.opened, camera.closed) == (2, 1)
        assert bench.value("camera_reopened_total") == 1
        assert bench.value("camera_up") == 1


def test_an_outage_is_logged_once_when_it_begins_and_once_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera)) as bench:
        bench.take()
        camera.refuse(*(_lost() for _ in range(20)))
        camera.send(_lost(), picture(2))
        bench.take()
        bench.states.wait_for(CameraState.RUNNING, 2)
        lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "runs" in lines[0]
    assert "lost: the cable is out (plug it in); opened again in" in lines[1]
    assert "is back after" in lines[2]
    assert bench.states.names().count(CameraState.LOST) == 1


def test_a_camera_is_not_up_while_it_is_lost() -> None:
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera, pause_s=1000)) as bench:
        bench.take()
        camera.send(_lost())
        bench.states.wait_for(CameraState.LOST)
        assert bench.value("camera_up") == 0


def test_a_password_is_in_no_log_line_and_no_state(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"rtsp://admin:{_SECRET}@camera/line?token={_SECRET}"
    camera = FakeCamera()
    camera.refuse(_lost(f"cannot open {url}"), _lost(f"cannot open {url}"))
    camera.send(picture(1))
    with started(FeedBench(camera)) as bench:
        detail = bench.states.wait_for(CameraState.LOST)
        bench.take()
    assert "rtsp://***@camera/line?token=***" in detail
    assert _SECRET not in detail + caplog.text


def test_a_grab_that_never_returns_is_given_up_and_another_source_begins() -> None:
    parked, fresh = FakeCamera(picture(1), timeout_s=0.05), FakeCamera()
    parked.hang("grab", after=1)
    with started(FeedBench(parked, fresh, slack_s=_SLACK_S)) as bench:
        bench.take()
        detail = bench.states.wait_for(CameraState.LOST)
        assert "did not return within 0.25 s" in detail
        fresh.send(picture(7))
        frame = bench.take()
        assert (int(frame.image[0, 0, 0]), frame.seq) == (7, 1)
        assert bench.feed.abandoned == 1
        assert not bench.feed.stuck


@pytest.mark.parametrize("call", ["open", "grab", "retrieve"])
def test_a_source_that_was_given_up_is_closed_by_its_own_thread(call: str) -> None:
    parked, fresh = FakeCamera(picture(1), timeout_s=0.05), FakeCamera(picture(7))
    parked.hang(call)
    with started(FeedBench(parked, fresh, slack_s=_SLACK_S)) as bench:
        assert int(bench.take().image[0, 0, 0]) == 7
        assert parked.closed == 0
        parked.let_go()
        parked.wait_until("closed")
        assert parked.closed_by == "camera-line-1"
        assert parked.retrieved == (call == "retrieve")
        assert not bench.slots.is_waiting("line-1")


def test_a_close_that_never_returns_does_not_hold_up_the_feed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("visionedge.cameras.guard._CLOSE_TIMEOUT_S", 0.05)
    parked, fresh = FakeCamera(picture(1), timeout_s=0.05), FakeCamera(picture(7))
    parked.hang("close")
    parked.send(_lost())
    with started(FeedBench(parked, fresh, slack_s=_SLACK_S)) as bench:
        bench.states.wait_for(CameraState.LOST)
        bench.states.wait_for(CameraState.RUNNING, 2)
        assert int(bench.take().image[0, 0, 0]) == 7
        assert bench.feed.abandoned == 1


def test_too_many_parked_calls_ask_for_a_restart_and_no_more_are_made() -> None:
    cameras = [FakeCamera(timeout_s=0.02) for _ in range(MAX_PARKED)]
    for camera in cameras:
        camera.hang("open")
    spare = FakeCamera(picture(7))
    with started(FeedBench(*cameras, spare, slack_s=_SLACK_S)) as bench:
        bench.wait_until_stuck()
        assert bench.feed.abandoned == MAX_PARKED
        assert spare.opened == 0
        cameras[0].let_go()
        assert int(bench.take().image[0, 0, 0]) == 7
        assert not bench.feed.stuck


def test_a_camera_can_be_removed_while_it_opens() -> None:
    camera = FakeCamera(picture(1))
    camera.hang("open")
    bench = FeedBench(camera)
    with started(bench):
        camera.wait_until("hung")
        assert not bench.feed.stop(0.05)
        camera.let_go()
        camera.wait_until("closed")
        assert bench.feed.stop(DEADLINE_S)
        assert not bench.slots.is_waiting("line-1")
        assert bench.states.names() == [CameraState.OPENING]


def test_a_feed_that_was_stopped_reports_nothing_more() -> None:
    camera = FakeCamera(picture(1))
    bench = FeedBench(camera)
    with started(bench):
        bench.take()
        camera.hang("grab")
        camera.wait_until("hung")
        assert not bench.feed.stop(0.05)
        assert bench.value("camera_up") == 0
        camera.end()
        camera.let_go()
        assert bench.feed.stop(DEADLINE_S)
    assert bench.states.names() == [CameraState.OPENING, CameraState.RUNNING]


def test_a_picture_that_stands_still_is_a_lost_camera() -> None:
    clock = FakeClock()
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera, clock=clock)) as bench:
        bench.take()
        camera.send(picture(1))
        bench.take()
        clock.advance(4)
        camera.send(picture(1))
        bench.take()
        clock.advance(1.1)
        camera.send(picture(1))
        detail = bench.states.wait_for(CameraState.LOST)
        assert "has not changed for 5 s" in detail
        assert bench.dropped("stale") == 1


def test_a_camera_that_still_shows_the_frozen_picture_is_not_back() -> None:
    clock = FakeClock()
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera, clock=clock)) as bench:
        bench.take()
        camera.send(picture(1))
        bench.take()
        clock.advance(6)
        camera.send(picture(1), picture(1), picture(1))
        camera.wait_until("opened", 4)
        assert bench.value("camera_up") == 0
        assert bench.dropped("stale") == 3
        camera.send(picture(2))
        assert int(bench.take().image[0, 0, 0]) == 2
        bench.states.wait_for(CameraState.RUNNING, 2)
    assert bench.states.names().count(CameraState.LOST) == 1


def test_a_file_may_show_one_picture_for_ever() -> None:
    clock = FakeClock()
    camera = FakeCamera(picture(1), live=False)
    settings = FileCamera(kind="file", path="one.jpg")
    with started(FeedBench(camera, clock=clock, settings=settings)) as bench:
        bench.take()
        clock.advance(600)
        camera.send(picture(1))
        assert bench.take().seq == 1


def test_one_damaged_frame_is_dropped_and_the_camera_goes_on() -> None:
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera)) as bench:
        bench.take()
        camera.send_damaged()
        camera.send(picture(2))
        assert bench.take().seq == 2
        assert bench.dropped("undecoded") == 1
        assert camera.opened == 1


def test_nothing_but_damaged_frames_is_a_lost_camera() -> None:
    clock = FakeClock()
    settings = StreamCamera(kind="stream", url="rtsp://camera/line", stale_after_s=2)
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera, clock=clock, settings=settings)) as bench:
        bench.take()
        camera.send_damaged()
        camera.wait_until("waiting")
        clock.advance(2.1)
        camera.send_damaged()
        assert "decoded" in bench.states.wait_for(CameraState.LOST)
        assert bench.dropped("undecoded") == 2
        camera.wait_until("opened", 2)


def test_a_bug_in_a_source_is_a_lost_camera_and_not_the_end() -> None:
    camera = FakeCamera(picture(1))
    with started(FeedBench(camera)) as bench:
        bench.take()
        camera.send(BrokenSourceError("division by zero"))
        assert "division by zero" in bench.states.wait_for(CameraState.LOST)
        camera.send(picture(2))
        assert bench.take().seq == 1
        assert bench.metrics.value("visionedge_worker_crashes_total") == 1


class BrokenSourceError(Exception):
    """What a source must never raise."""
