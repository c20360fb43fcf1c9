"""Network cameras over loopback, with the faults that networks and cameras have."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.cameras.videos import number_of, pictures, write_video
from tests.support.cameras import DEADLINE_S
from tests.support.http_camera import HttpCamera, SilentPort
from tests.support.rtsp import RtspServer

from visionedge.cameras.file import FileSource
from visionedge.cameras.stream import StreamSource
from visionedge.errors import CameraUnavailable
from visionedge.settings import FileCamera, StreamCamera

_SECRET: Final = "s3cret"
_USER: Final = f"admin:{_SECRET}"


def stream(url: str, open_timeout_s: float = 5, read_timeout_s: float = 5) -> StreamSource:
    return StreamSource(
        StreamCamera(
            kind="stream", url=url, open_timeout_s=open_timeout_s, read_timeout_s=read_timeout_s
        )
    )


@contextmanager
def opened(source: StreamSource) -> Iterator[StreamSource]:
    source.open()
    try:
        yield source
    finally:
        source.close()


def refusal(source: StreamSource) -> CameraUnavailable:
    with pytest.raises(CameraUnavailable) as caught:
        source.open()
    source.close()
    return caught.value


def grabs_until_refused(source: StreamSource) -> tuple[int, CameraUnavailable, float]:
    """How many frames came, why no more, and how long that took to be seen."""
    for number in range(10_000):
        started_s = time.monotonic()
        try:
            source.grab()
        except CameraUnavailable as error:
            return number, error, time.monotonic() - started_s
    raise AssertionError("it never ended")


def test_rtsp_goes_over_tcp() -> None:
    with RtspServer(pictures()) as server, opened(stream(server.url())) as source:
        source.grab()
        assert number_of(source.retrieve()[0]) in range(3)
        assert all("TCP" in asked for asked in server.transports_asked)


def test_rtsp_goes_over_udp_where_the_camera_refuses_tcp() -> None:
    with (
        RtspServer(pictures(), transports=("udp",)) as server,
        opened(stream(server.url())) as source,
    ):
        source.grab()
        assert source.retrieve()[0].size
        assert "UDP" in server.transports_asked[-1]


def test_rtsp_logs_in_with_the_credentials_of_the_address() -> None:
    with (
        RtspServer(pictures(), credentials=_USER) as server,
        opened(stream(server.url(_USER))) as source,
    ):
        source.grab()


def test_http_logs_in_with_the_credentials_of_the_address() -> None:
    with (
        HttpCamera(pictures(), credentials=_USER) as camera,
        opened(stream(camera.url(_USER))) as source,
    ):
        source.grab()


@pytest.mark.parametrize("server_type", [RtspServer, HttpCamera])
def test_a_wrong_password_is_refused_and_not_told(
    server_type: type[RtspServer] | type[HttpCamera], capfd: pytest.CaptureFixture[str]
) -> None:
    with server_type(pictures(), credentials="admin:other") as server:
        error = refusal(stream(server.url(_USER, path=f"/line?token={_SECRET}")))
    assert "***@127.0.0.1" in str(error)
    assert "user, password and path" in error.hint
    assert _SECRET not in str(error) + repr(error.__cause__) + "".join(capfd.readouterr())


def test_a_lost_stream_is_told_without_its_password() -> None:
    with (
        HttpCamera(pictures(), frames=30, credentials=_USER) as camera,
        opened(stream(camera.url(_USER))) as source,
    ):
        frames, error, _ = grabs_until_refused(source)
    assert 0 < frames <= 30
    assert "ended its stream" in str(error)
    assert _SECRET not in str(error)


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with HttpCamera(pictures(), silent=True) as camera:
        source = stream(camera.url(), open_timeout_s=0.5)
        started_s = time.monotonic()
        error = refusal(source)
        assert time.monotonic() - started_s < source.traits.open_timeout_s + 1
    assert "gave no video within 0.5 s" in str(error)


@pytest.mark.parametrize("server_type", [RtspServer, HttpCamera])
def test_a_stream_that_stalls_is_given_up_in_time(
    server_type: type[RtspServer] | type[HttpCamera],
) -> None:
    with (
        server_type(pictures(), stall_after=40) as server,
        opened(stream(server.url(), read_timeout_s=0.5)) as source,
    ):
        frames, error, took_s = grabs_until_refused(source)
    assert frames > 0
    assert "sent no frame for 0.5 s" in str(error)
    assert 0.5 <= took_s < 1.5


def test_a_silent_camera_does_not_keep_another_from_opening() -> None:
    with SilentPort() as silent, HttpCamera(pictures()) as camera:
        blocked = stream(f"http://127.0.0.1:{silent.port}/", open_timeout_s=DEADLINE_S)
        begun = threading.Event()

        def open_blocked() -> None:
            begun.set()
            refusal(blocked)

        opening = threading.Thread(target=open_blocked)
        opening.start()
        assert begun.wait(DEADLINE_S)
        for _ in range(3):
            with opened(stream(camera.url())) as source:
                source.grab()
        assert opening.is_alive()
        silent.close()
        opening.join(DEADLINE_S)
        assert not opening.is_alive()


def test_a_redirect_to_another_address_is_followed() -> None:
    with (
        HttpCamera(pictures()) as camera,
        HttpCamera([], redirect=camera.url()) as door,
        opened(stream(door.url())) as source,
    ):
        source.grab()


@pytest.mark.parametrize("form", ["file://{}", "{}", "file:{}", "concat:{}", "subfile:{}"])
def test_a_redirect_to_a_file_of_the_device_is_not_followed(form: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "secret.avi")
    local = FileSource(FileCamera(kind="file", path=str(path)))
    local.open()
    local.close()
    with HttpCamera([], redirect=form.format(path)) as door:
        error = refusal(stream(door.url(), open_timeout_s=1))
    assert "no video" in str(error)


@pytest.mark.parametrize("form", ["file://{}", "{}"])
def test_a_playlist_cannot_name_a_file_of_the_device(form: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "secret.mp4", "mp4v")
    playlist = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{form.format(path)}\n#EXT-X-ENDLIST\n"
    )
    with HttpCamera(
        [], body=playlist.encode(), content_type="application/vnd.apple.mpegurl"
    ) as door:
        error = refusal(stream(door.url(path="/list.m3u8"), open_timeout_s=1))
    assert "no video" in str(error)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("rtsp://127.0.0.1:1/line", "127.0.0.1:1 refuses connections"),
        ("http://127.0.0.1:1/line", "127.0.0.1:1 refuses connections"),
        ("http://name.invalid/line", "the name in name.invalid:80 does not resolve"),
        (f"rtsp://{_USER}@127.0.0.1:99999/line", "is no address of a camera"),
        (f"rtsp://{_USER}@[::1/line", "is no address of a camera"),
        (f"http://{_USER}@/line", "is no address of a camera"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_by_its_kind(url: str, reason: str) -> None:
    error = refusal(stream(url, open_timeout_s=2))
    assert reason in str(error)
    assert error.hint
    assert _SECRET not in str(error)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize(
    "password", ["S3@topsecret/x", "a@topsecret?b", "a@topsecret#b", "topsecret/x", "12/topsecret"]
)
def test_no_part_of_a_password_is_taken_for_the_host(scheme: str, password: str) -> None:
    error = refusal(stream(f"{scheme}://view:{password}@127.0.0.1:1/line", open_timeout_s=2))
    told = f"{error} {error.hint}"
    assert "topsecret" not in told
    assert "12" not in told.replace("127.0.0.1", "")
    assert f"{scheme}://***@127.0.0.1:1/line" in told


def test_a_password_with_its_signs_written_as_numbers_is_taken() -> None:
    error = refusal(stream("rtsp://view:S3%40top%2Fx@127.0.0.1:1/line", open_timeout_s=2))
    assert "127.0.0.1:1 refuses connections" in str(error)


def test_what_answers_and_is_no_camera_is_told_so() -> None:
    with HttpCamera([], body=b"<html>hello</html>", content_type="text/html") as site:
        error = refusal(stream(site.url()))
    assert "answers, but gives no video" in str(error)


def test_opencv_writes_nothing_past_the_log_unless_it_is_asked_to() -> None:
    code = (
        "from visionedge.cameras.stream import StreamSource\n"
        "from visionedge.settings import StreamCamera\n"
        "from visionedge.errors import CameraUnavailable\n"
        "try: StreamSource(StreamCamera(kind='stream', url='http://127.0.0.1:1/x')).open()\n"
        "except CameraUnavailable: print('CameraUnavailable')\n"
    )
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    assert _output_of(code, quiet) == "CameraUnavailable\n"
    asked = _output_of(code, {**quiet, "OPENCV_FFMPEG_LOGLEVEL": "16"})
    assert "Connection refused" in asked


def _output_of(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout
