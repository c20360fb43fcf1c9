"""A video file, frame by frame."""

import logging
import math
from pathlib import Path
from typing import Final

import cv2

from visionedge.cameras.capture import ONE_THREAD, Capture
from visionedge.entities import Image
from visionedge.errors import CameraUnavailable

log: Final = logging.getLogger(__name__)
_MAX_FPS: Final = 240
"""Files with a variable rate give the ticks of their time base instead, such as 90000."""


class VideoReader:
    """Reads `path` from the beginning at each `open`."""

    def __init__(self, path: Path) -> None:
        # Absolute, because FFmpeg reads `name:rest` as a protocol.
        self._path = path.absolute()
        self._capture = Capture()
        self._read = 0
        self._warned = False

    @property
    def fps(self) -> float:
        """Frames a second of the open file; 0 where it does not tell."""
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        return fps if math.isfinite(fps) and 0 < fps <= _MAX_FPS else 0.0

    def open(self) -> None:
        """Go to the beginning.

        Raises:
            CameraUnavailable: FFmpeg finds no video in it.
        """
        self._read = 0
        if not self._capture.open(str(self._path), cv2.CAP_FFMPEG, ONE_THREAD):
            raise CameraUnavailable(
                f"{self._path} is not a video that FFmpeg can read",
                hint="check it with `ffprobe`; it may be cut short",
            )

    def advance(self) -> bool:
        """Go to the next frame; False at the end.

        Raises:
            CameraUnavailable: not one frame could be read.
        """
        if self._capture.grab():
            self._read += 1
            return True
        if not self._read:
            raise CameraUnavailable(
                f"{self._path} holds no frame that can be decoded", hint="check it with `ffprobe`"
            )
        self._warn_if_short()
        return False

    def image(self) -> Image:
        """The frame, in a new array.

        Raises:
            CameraUnavailable: it could not be decoded; advance.
        """
        return self._capture.retrieve()

    def close(self) -> None:
        """Close the file."""
        self._capture.close()

    def _warn_if_short(self) -> None:
        promised = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        # Containers count by duration times rate, so a frame or two is no fault.
        if self._read < 0.95 * promised - 2 and not self._warned:
            self._warned = True
            log.warning(
                "%s ends after %d of %.0f frames: it may be cut short",
                self._path, self._read, promised,
            )  # fmt: skip
