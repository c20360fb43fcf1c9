"""What every kind of camera must do alike, the fake one too."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
from tests.cameras.videos import pictures, write_video
from tests.support.cameras import FakeCamera, picture
from tests.support.http_camera import HttpCamera
from tests.support.rtsp import RtspServer

from visionedge.cameras.registry import make_source
from visionedge.cameras.source import CameraSource
from visionedge.errors import CameraEnded, CameraUnavailable
from visionedge.settings import FileCamera, PatternCamera, StreamCamera


@dataclass(frozen=True)
class Subject:
    """One kind of camera: a working one, one that can not be opened, and whether it ends."""

    source: CameraSource
    broken: CameraSource | None = None
    frames: int | None = None
    """How many it has before it ends; None is without end."""


def _file(path: Path) -> CameraSource:
    return make_source(FileCamera(kind="file", path=str(path), loop=False, realtime=False))


def _stream(url: str) -> CameraSource:
    return make_source(StreamCamera(kind="stream", url=url, open_timeout_s=5, read_timeout_s=5))


def _pattern(folder: Path, stack: ExitStack) -> Subject:
    return Subject(make_source(PatternCamera(width_px=320, height_px=240, fps=200)))


def _video(folder: Path, stack: ExitStack) -> Subject:
    return Subject(_file(write_video(folder / "a.avi")), _file(folder / "none.avi"), 3)


def _folder(folder: Path, stack: ExitStack) -> Subject:
    for number, image in enumerate(pictures()):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return Subject(_file(folder), _file(folder / "none"), 3)


def _picture(folder: Path, stack: ExitStack) -> Subject:
    cv2.imwrite(str(folder / "one.jpg"), pictures()[0])
    return Subject(_file(folder / "one.jpg"), _file(folder / "none.jpg"), 1)


def _http(folder: Path, stack: ExitStack) -> Subject:
    camera = stack.enter_context(HttpCamera(pictures()))
    return Subject(_stream(camera.url()), _stream("http://127.0.0.1:1/video"))


def _rtsp(folder: Path, stack: ExitStack) -> Subject:
    server = stack.enter_context(RtspServer(pictures()))
    return Subject(_stream(server.url()), _stream("rtsp://127.0.0.1:1/line"))


def _fake(folder: Path, stack: ExitStack) -> Subject:
    camera = FakeCamera(*(picture(value) for value in (1, 2, 3)))
    camera.end()
    broken = FakeCamera()
    broken.refuse(CameraUnavailable("the fake camera is away", hint="send it back"))
    return Subject(camera, broken, 3)


_KINDS: Final[dict[str, Callable[[Path, ExitStack], Subject]]] = {
    "pattern": _pattern,
    "video": _video,
    "folder": _folder,
    "picture": _picture,
    "http": _http,
    "rtsp": _rtsp,
    "fake": _fake,
}


@pytest.fixture(params=_KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    with ExitStack() as stack:
        found = _KINDS[request.param](tmp_path, stack)
        yield found
        found.source.close()


def test_a_frame_is_bgr_bytes(subject: Subject) -> None:
    subject.source.open()
    subject.source.grab()
    image, _ = subject.source.retrieve()
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.flags.c_contiguous


def test_a_frame_stays_as_it_is_when_the_next_one_comes(subject: Subject) -> None:
    if subject.frames == 1:
        pytest.skip("it has one frame only")
    subject.source.open()
    subject.source.grab()
    first, _ = subject.source.retrieve()
    kept = first.copy()
    subject.source.grab()
    second, _ = subject.source.retrieve()
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept)


def test_frames_that_nobody_retrieves_are_passed_over(subject: Subject) -> None:
    if subject.frames == 1:
        pytest.skip("it has one frame only")
    subject.source.open()
    subject.source.grab()
    subject.source.grab()
    assert subject.source.retrieve()[0].size


def test_it_closes_twice(subject: Subject) -> None:
    subject.source.open()
    subject.source.close()
    subject.source.close()


def test_it_closes_without_having_been_opened(subject: Subject) -> None:
    subject.source.close()


def test_grabbing_before_open_is_refused(subject: Subject) -> None:
    with pytest.raises(CameraUnavailable):
        subject.source.grab()


def test_retrieving_before_a_grab_is_refused(subject: Subject) -> None:
    with pytest.raises(CameraUnavailable):
        subject.source.retrieve()
    subject.source.open()
    with pytest.raises(CameraUnavailable):
        subject.source.retrieve()


def test_nothing_comes_after_close(subject: Subject) -> None:
    subject.source.open()
    subject.source.grab()
    subject.source.close()
    with pytest.raises(CameraUnavailable):
        subject.source.retrieve()
    with pytest.raises(CameraUnavailable):
        subject.source.grab()


def test_it_opens_again_after_close(subject: Subject) -> None:
    for _ in range(2):
        subject.source.open()
        subject.source.grab()
        assert subject.source.retrieve()[0].size
        subject.source.close()


def test_an_end_is_final(subject: Subject) -> None:
    if subject.frames is None:
        pytest.skip("it has no end")
    subject.source.open()
    for _ in range(subject.frames):
        subject.source.grab()
    for _ in range(2):
        with pytest.raises(CameraEnded):
            subject.source.grab()


def test_what_cannot_be_opened_says_so_and_what_to_do(subject: Subject) -> None:
    if subject.broken is None:
        pytest.skip("it can always be opened")
    with pytest.raises(CameraUnavailable) as caught:
        subject.broken.open()
    assert caught.value.hint
    with pytest.raises(CameraUnavailable):
        subject.broken.grab()
    subject.broken.close()


def test_it_promises_when_its_calls_end(subject: Subject) -> None:
    traits = subject.source.traits
    assert traits.open_timeout_s > 0
    assert traits.read_timeout_s > 0
