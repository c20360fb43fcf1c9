"""The feed on real sources over loopback: what breaks in a network comes back by itself."""

import logging

import pytest
from tests.cameras.feeds import FeedBench, started, stopped_after
from tests.cameras.videos import pictures
from tests.support.cameras import DEADLINE_S
from tests.support.http_camera import HttpCamera
from tests.support.rtsp import RtspServer

from visionedge.cameras.feed import CameraState
from visionedge.cameras.registry import make_source
from visionedge.settings import StreamCamera

_SECRET = "s3cret"


def bench(url: str) -> FeedBench:
    settings = StreamCamera(
        kind="stream", url=url, open_timeout_s=0.5, read_timeout_s=0.5, stale_after_s=60
    )
    return FeedBench(settings=settings, make=make_source, pause_s=0.05)


def test_a_stream_that_ends_is_opened_again() -> None:
    with HttpCamera(pictures(), frames=25) as camera, started(bench(camera.url())) as found:
        found.states.wait_for(CameraState.RUNNING, 3)
        assert found.value("camera_reopened_total") >= 2
        assert found.take().seq > 0


def test_a_camera_that_is_switched_off_and_on_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with HttpCamera(pictures()) as camera:
        url = camera.url(f"admin:{_SECRET}", path=f"/video?token={_SECRET}")
        found = bench(url)
        found.feed.start()
        found.take()
    with stopped_after(found):
        found.states.wait_for(CameraState.LOST)
        with HttpCamera(pictures(), port=camera.port):
            found.states.wait_for(CameraState.RUNNING, 2)
            found.slots.discard("line-1")
            assert found.take().width == pictures()[0].shape[1]
    assert [word for word in ("runs", "lost", "is back") if word in caplog.text] == [
        "runs",
        "lost",
        "is back",
    ]
    assert _SECRET not in caplog.text + str(found.states.seen)


def test_a_stream_that_stalls_is_opened_again() -> None:
    with (
        RtspServer(pictures(), stall_after=40) as server,
        started(bench(server.url())) as found,
    ):
        assert "sent no frame for 0.5 s" in found.states.wait_for(CameraState.LOST)
        found.states.wait_for(CameraState.RUNNING, 2)


def test_a_server_that_never_answers_is_told_and_can_be_removed() -> None:
    with HttpCamera(pictures(), silent=True) as camera, started(bench(camera.url())) as found:
        assert "gave no video" in found.states.wait_for(CameraState.LOST)
        assert found.feed.stop(DEADLINE_S)
        assert found.feed.abandoned == 0
