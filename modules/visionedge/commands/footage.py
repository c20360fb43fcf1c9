"""Pictures out of files: a picture gives one, a video gives its frames.

A frame of a video is named by its number, counted from 0 over all frames and not only over
those that were looked at, so that `clip.mp4#000120` can be found again in any player.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from visionedge.cameras.picture import TIFFS, picture_size, too_deep
from visionedge.entities import Image
from visionedge.inference.image import read_image
from visionedge.runtime.file_names import is_text

_HEAD_BYTES: Final = 1024**2
"""In it a picture says its size, but for a TIFF, which may do so at its end; the profiles before it
are some hundred kilobytes at most."""
VIDEOS: Final = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture to look at.

    Attributes:
        path: of the file.
        name: of the file, and the number of the frame in a video.
        stem: a file name for what is made of it.
        image: (H, W, 3) uint8 BGR, or None where the file could not be read.
    """

    path: Path
    name: str
    stem: str
    image: Image | None


def shots_in(path: Path, every: int = 1) -> int:
    """About how many `shots` a file gives; a video's own count may be a little off."""
    if path.suffix.lower() not in VIDEOS:
        return 1
    capture = _opened(path)
    try:
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    return max(1, math.ceil(frames / every)) if math.isfinite(frames) else 1


def shots(path: Path, every: int = 1) -> Iterator[Shot]:
    """The pictures of a file.

    Args:
        path: a picture or video.
        every: of a video, each how manieth frame.
    """
    if path.suffix.lower() in VIDEOS:
        yield from _frames(path, every)
    else:
        yield Shot(path, str(path), path.stem, read_image(path))


def _frames(path: Path, every: int) -> Iterator[Shot]:
    capture = _opened(path)
    try:
        number = 0
        while capture.grab():
            if number % every == 0:
                done, image = capture.retrieve()
                frame = np.asarray(image, np.uint8) if done else None
                yield Shot(path, f"{path}#{number:06d}", f"{path.stem}-{number:06d}", frame)
            number += 1
    finally:
        capture.release()
    if number == 0:
        yield Shot(path, str(path), path.stem, None)


def _opened(path: Path) -> cv2.VideoCapture:
    """The video; one that gives nothing where OpenCV cannot be told its name, and would crash."""
    # Absolute, because FFmpeg reads `name:rest` as a protocol.
    return cv2.VideoCapture(str(path.absolute())) if is_text(path) else cv2.VideoCapture()


def why_unreadable(path: Path) -> str:
    """Why a file gave no picture, and what to do about it."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if head.startswith(TIFFS):
                head += file.read()
    except OSError as error:
        return f"{error.strerror} (check the path and its permissions)"
    if not head:
        return "the file is empty (copy it again)"
    if path.suffix.lower() in VIDEOS and not is_text(path):
        return "its name is no UTF-8 (rename the file, or its folder)"
    if path.suffix.lower() in VIDEOS:
        return "it is no video, or only a part of one (play it with `ffplay`, or copy it again)"
    # OpenCV crashes on a name that is no UTF-8.
    is_picture = picture_size(head) is not None or (
        is_text(path) and cv2.haveImageReader(str(path))
    )
    if not is_picture:
        return "it is no picture, whatever its name says (leave it out)"
    if deep := too_deep(head):
        return f"it has {deep} (save it with 8 or 16)"
    return "the picture is damaged or cut short (copy it again)"
