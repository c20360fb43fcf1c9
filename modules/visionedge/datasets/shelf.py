"""Where samples lie: five calls that a folder and blob storage have in common.

Keys are paths with `/`, below one root. A whole picture is written or none, and a line is appended
whole or not at all as far as the place can promise that; readers pass over a broken one.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from visionedge.datasets.below import below


class Shelf(Protocol):
    """A place for pictures and their index. Each call raises OSError where it cannot be done."""

    def write(self, key: str, value: bytes) -> None:
        """Put a picture there, in the place of what there was."""

    def append(self, key: str, line: bytes) -> None:
        """Add a line to an index, which is made where there is none."""

    def read(self, key: str) -> bytes | None:
        """What lies there, or None."""

    def delete(self, key: str) -> None:
        """Take it away; what is not there is no error."""

    def keys(self) -> Iterator[str]:
        """All keys, in order."""


class FolderShelf:
    """A folder, made when something is first put into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, key: str, value: bytes) -> None:
        """As `Shelf.write`; a crash leaves the old picture, or none."""
        path = self._made(key)
        whole = path.with_name(path.name + ".new")
        whole.write_bytes(value)
        whole.replace(path)

    def append(self, key: str, line: bytes) -> None:
        """As `Shelf.append`; on the disk when this returns."""
        with self._made(key).open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    # A loss of power left half a line; it stays by itself.
                    file.write(b"\n")
            file.write(line.rstrip(b"\n") + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self, key: str) -> bytes | None:
        """As `Shelf.read`."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def delete(self, key: str) -> None:
        """As `Shelf.delete`; a folder that is empty then goes too."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._folder or not folder.is_relative_to(self._folder):
                return
            try:
                folder.rmdir()
            except OSError:
                return  # Something else lies in it.

    def keys(self) -> Iterator[str]:
        """As `Shelf.keys`."""
        for path in sorted(below(self._folder)) if self._folder.exists() else ():
            if path.is_file() and path.suffix != ".new":
                yield path.relative_to(self._folder).as_posix()

    def _path(self, key: str) -> Path:
        path = self._folder / key
        if ".." in Path(key).parts or not path.is_relative_to(self._folder):
            raise PermissionError(f"{key} is not below {self._folder}")
        return path

    def _made(self, key: str) -> Path:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
