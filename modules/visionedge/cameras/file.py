"""A video file, a folder of pictures or a single picture as a camera.

What the path is, is decided at each `open`: a folder may be mounted after the module
started. Frames come at the file's own pace, at a set one, or as fast as they are taken, and
then none is left out.
"""

import threading
from pathlib import Path
from typing import Final, Protocol

from visionedge.cameras.pacer import Pacer
from visionedge.cameras.picture import PICTURE_SUFFIXES
from visionedge.cameras.pictures import PictureReader
from visionedge.cameras.source import Traits
from visionedge.cameras.video import VideoReader
from visionedge.entities import Image
from visionedge.errors import CameraEnded, CameraUnavailable
from visionedge.runtime.clock import Clock
from visionedge.settings import FileCamera

_DEFAULT_FPS: Final = 10.0
_DISK_TIMEOUT_S: Final = 30.0
"""A disk that wakes up or a network share; a local file takes milliseconds."""


class _Reader(Protocol):
    """What is played: `open` goes to the beginning; from the end on `advance` is False."""

    @property
    def fps(self) -> float:
        """Frames a second; 0 where it has no pace of its own."""

    def open(self) -> None:
        """Go to the beginning."""

    def advance(self) -> bool:
        """Go to the next frame."""

    def image(self) -> Image:
        """The frame."""

    def close(self) -> None:
        """Let go of it."""


class FileSource:
    """A `CameraSource` that plays what lies at `settings.path`."""

    def __init__(
        self,
        settings: FileCamera,
        halt: threading.Event | None = None,
        clock: Clock | None = None,
    ) -> None:
        slowest_s = 1 / settings.fps if settings.fps else 1.0
        self.traits = Traits(
            open_timeout_s=_DISK_TIMEOUT_S,
            read_timeout_s=slowest_s + _DISK_TIMEOUT_S,
            live=False,
            patient=not settings.realtime,
        )
        self._settings = settings
        self._halt = halt
        self._clock = clock
        self._path = Path(settings.path)
        self._reader: _Reader | None = None
        self._pacer = Pacer(0)
        self._open = False

    def open(self) -> None:
        """Begin at the first frame.

        Raises:
            CameraUnavailable: the path does not exist, or is nothing that can be played.
        """
        self.close()
        if not self._path.exists():
            raise CameraUnavailable(
                f"{self._path} does not exist",
                hint="check the camera's `path`; in a container it must be mounted",
            )
        reader = self._reader_of_path()
        reader.open()
        fps = self._settings.fps or reader.fps or _DEFAULT_FPS
        self._pacer = Pacer(fps if self._settings.realtime else 0, self._halt, self._clock)
        self._open = True

    def grab(self) -> None:
        """Go to the next frame, when it is due; from the last to the first in a loop.

        Raises:
            CameraUnavailable: nothing in it can be decoded.
            CameraEnded: it is played to its end, and is not to loop.
        """
        if not self._open or self._reader is None:
            raise CameraUnavailable(f"{self._path} is not open")
        self._pacer.wait()
        if self._reader.advance():
            return
        if not self._settings.loop:
            raise CameraEnded(f"{self._path} is played to its end")
        self._reader.open()
        self._reader.advance()

    def retrieve(self) -> tuple[Image, None]:
        """The frame; a file tells no truth.

        Raises:
            CameraUnavailable: it could not be decoded, or none was grabbed.
        """
        if not self._open or self._reader is None:
            raise CameraUnavailable(f"{self._path} is not open")
        return self._reader.image(), None

    def close(self) -> None:
        """Close the file."""
        self._open = False
        if self._reader is not None:
            self._reader.close()

    def _reader_of_path(self) -> _Reader:
        is_pictures = self._path.is_dir() or self._path.suffix.lower() in PICTURE_SUFFIXES
        kind = PictureReader if is_pictures else VideoReader
        # Kept over a reopening, because it remembers what it has complained of.
        if not isinstance(self._reader, kind):
            self._reader = kind(self._path)
        return self._reader
