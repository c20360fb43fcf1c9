"""The pictures of a folder, or a single one, read in the order of their names.

The folder is listed anew at each round, so a loop picks up what was added. A picture that
will not decode is passed over, and named in the log once; when it is replaced it is tried
again.
"""

import logging
from pathlib import Path
from typing import Final

from visionedge.cameras.picture import PICTURE_SUFFIXES, read_picture
from visionedge.entities import Image
from visionedge.errors import CameraUnavailable

log: Final = logging.getLogger(__name__)
_MOST_BAD: Final = 1000
"""Pictures that are remembered as such; a folder with more has them looked at again."""


class PictureReader:
    """Reads `path` picture by picture."""

    fps = 0.0
    """Pictures have no pace of their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = iter(list[Path]())
        self._image: Image | None = None
        self._read_any = False
        self._bad: set[tuple[str, int, int]] = set()

    def open(self) -> None:
        """List the pictures, from the first.

        Raises:
            CameraUnavailable: there are none.
        """
        try:
            paths = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        except OSError as error:
            raise CameraUnavailable(
                f"folder {self._path} cannot be listed: {error.strerror}",
                hint="check its permissions",
            ) from None
        pictures = [path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES]
        if not pictures:
            raise CameraUnavailable(
                f"folder {self._path} holds no pictures",
                hint=f"put files named {', '.join(PICTURE_SUFFIXES)} into it",
            )
        self._left = iter(pictures)
        self._image = None
        self._read_any = False

    def advance(self) -> bool:
        """Go to the next picture that decodes; False at the end of the round.

        Raises:
            CameraUnavailable: not one of the round could be decoded.
        """
        for path in self._left:
            self._image = self._decoded(path)
            if self._image is not None:
                self._read_any = True
                return True
        if not self._read_any:
            raise CameraUnavailable(
                f"no picture in {self._path} can be decoded",
                hint="the log names each of them with its reason",
            )
        self._image = None
        return False

    def image(self) -> Image:
        """The picture, once; it then belongs to the caller.

        Raises:
            CameraUnavailable: there is none; advance first.
        """
        image, self._image = self._image, None
        if image is None:
            raise CameraUnavailable("no frame was grabbed")
        return image

    def close(self) -> None:
        """Forget the round."""
        self._left = iter(list[Path]())
        self._image = None

    def _decoded(self, path: Path) -> Image | None:
        try:
            stat = path.stat()
        except OSError:
            # Taken away since it was listed.
            return None
        identity = (path.name, stat.st_mtime_ns, stat.st_size)
        if identity in self._bad:
            return None
        try:
            return read_picture(path)
        except CameraUnavailable as error:
            if len(self._bad) >= _MOST_BAD:
                # A file that is written anew each second is another one each time.
                self._bad.clear()
            self._bad.add(identity)
            log.warning("skipped: %s", error)
            return None
