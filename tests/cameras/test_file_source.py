"""Videos, folders and single pictures as cameras."""

import os
from pathlib import Path
from typing import Any, Final

import cv2
import pytest
from tests.cameras.videos import number_of, pictures, write_video

from visionedge.cameras.file import FileSource
from visionedge.cameras.video import VideoReader
from visionedge.errors import CameraEnded, CameraUnavailable
from visionedge.settings import FileCamera

_VIDEOS: Final = Path("../shared/conformance/videos")


def opened(path: Path, **settings: Any) -> FileSource:  # noqa: ANN401 - settings of every type
    source = FileSource(FileCamera(kind="file", path=str(path), **{"realtime": False, **settings}))
    source.open()
    return source


def numbers(source: FileSource, count: int) -> list[int]:
    found = []
    for _ in range(count):
        source.grab()
        found.append(number_of(source.retrieve()[0]))
    return found


def grabs(source: FileSource) -> bool:
    """False at the end."""
    try:
        source.grab()
    except CameraEnded:
        return False
    return True


def write_folder(folder: Path) -> Path:
    for number, image in enumerate(pictures()):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


@pytest.mark.parametrize(("codec", "name"), [("MJPG", "a.avi"), ("mp4v", "a.mp4")])
def test_a_video_gives_its_frames_in_order_and_ends(codec: str, name: str, tmp_path: Path) -> None:
    source = opened(write_video(tmp_path / name, codec), loop=False)
    assert numbers(source, 3) == [0, 1, 2]
    with pytest.raises(CameraEnded, match=name):
        source.grab()


def test_a_video_in_a_loop_begins_again(tmp_path: Path) -> None:
    source = opened(write_video(tmp_path / "a.avi"))
    assert numbers(source, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_a_video_that_ended_begins_anew_when_it_is_opened_again(tmp_path: Path) -> None:
    source = opened(write_video(tmp_path / "a.avi"), loop=False)
    numbers(source, 3)
    with pytest.raises(CameraEnded):
        source.grab()
    source.open()
    assert numbers(source, 1) == [0]


def test_a_video_keeps_the_pace_of_its_file(tmp_path: Path) -> None:
    reader = VideoReader(write_video(tmp_path / "a.avi", fps=12.5))
    assert reader.fps == 0
    reader.open()
    assert reader.fps == 12.5
    reader.close()


def test_a_video_that_was_cut_short_gives_what_it_has_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "a.avi", count=40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    source = opened(path)
    for _ in range(60):
        source.grab()
    assert len(caplog.records) == 1
    assert "it may be cut short" in caplog.text
    assert "of 40 frames" in caplog.text


def test_a_whole_video_is_not_suspected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = opened(write_video(tmp_path / "a.mp4", "mp4v", count=40))
    for _ in range(90):
        source.grab()
    assert not caplog.records


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_a_file_that_is_no_video_is_refused_by_its_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(CameraUnavailable, match=r"a\.mp4 is not a video") as caught:
        opened(tmp_path / "a.mp4")
    assert "ffprobe" in caught.value.hint


def test_a_path_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(CameraUnavailable, match=r"none\.mp4 does not exist"):
        opened(tmp_path / "none.mp4")


def test_a_name_that_looks_like_an_address_is_still_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_video(tmp_path / "http:a.avi")
    assert numbers(opened(Path(path.name)), 1) == [0]


def test_pictures_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "below.png").mkdir()
    source = opened(tmp_path, loop=False)
    assert numbers(source, 3) == [0, 1, 2]
    with pytest.raises(CameraEnded):
        source.grab()


def test_pictures_added_later_come_in_the_next_round(tmp_path: Path) -> None:
    source = opened(write_folder(tmp_path))
    numbers(source, 3)
    (tmp_path / "1.png").unlink()
    cv2.imwrite(str(tmp_path / "9.png"), pictures()[0])
    assert numbers(source, 3) == [0, 2, 0]


def test_a_truncated_jpeg_is_skipped_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_folder(tmp_path)
    jpeg = cv2.imencode(".jpg", pictures()[0])[1].tobytes()
    (tmp_path / "1a.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    source = opened(tmp_path)
    assert numbers(source, 6) == [0, 1, 2, 0, 1, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "skipped: picture 1a.jpg is damaged or cut short"
    ]


def test_a_picture_that_was_mended_is_tried_again(tmp_path: Path) -> None:
    write_folder(tmp_path)
    good = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(good[:50])
    source = opened(tmp_path)
    assert numbers(source, 2) == [0, 2]
    (tmp_path / "1.png").write_bytes(good)
    assert numbers(source, 3) == [0, 1, 2]


def test_a_picture_that_vanishes_is_passed_over(tmp_path: Path) -> None:
    source = opened(write_folder(tmp_path), loop=False)
    (tmp_path / "1.png").unlink()
    assert numbers(source, 2) == [0, 2]


def test_a_folder_in_which_nothing_decodes_is_refused_by_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    source = opened(tmp_path)
    for _ in range(2):
        with pytest.raises(CameraUnavailable, match=f"no picture in {tmp_path} can be decoded"):
            source.grab()
        source.open()
    assert len(caplog.records) == 2


def test_an_empty_folder_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(CameraUnavailable, match=f"folder {tmp_path} holds no pictures") as caught:
        opened(tmp_path)
    assert ".jpg" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "secret"
    folder.mkdir(mode=0o100)
    with pytest.raises(CameraUnavailable, match="cannot be listed"):
        opened(folder)


def test_one_picture_is_shown_for_ever_and_each_is_a_frame_of_its_own(tmp_path: Path) -> None:
    write_folder(tmp_path)
    source = opened(tmp_path / "2.png")
    source.grab()
    first, truth = source.retrieve()
    source.grab()
    first[:] = 0
    assert number_of(source.retrieve()[0]) == 2
    assert truth is None


def test_a_folder_that_is_mounted_late_is_found(tmp_path: Path) -> None:
    source = FileSource(FileCamera(kind="file", path=str(tmp_path / "late"), realtime=False))
    with pytest.raises(CameraUnavailable):
        source.open()
    (tmp_path / "late").mkdir()
    write_folder(tmp_path / "late")
    source.open()
    assert numbers(source, 1) == [0]


@pytest.mark.parametrize("name", ["bottle-detection.mp4", "shelf.mp4"])
def test_a_real_video_is_played_whole(name: str) -> None:
    path = _VIDEOS / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    source = opened(path, loop=False)
    assert len(list(iter(lambda: grabs(source), False))) >= 50
