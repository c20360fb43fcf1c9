"""Where a command writes, made sure of before its work and not after it.

A measurement takes minutes. Whoever mistypes a folder learns it in the first second, and by
the name of the option that is wrong.

What this does not promise: that the place is still free, or the disk not full, at the end.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from visionedge.errors import SettingsError
from visionedge.runtime.file_names import is_text
from visionedge.runtime.whole_file import replace_file

_NO_FILES: Final = (("/", "dev"), ("/", "proc"))


def folder(path: Path, option: str) -> Path:
    """The folder of an option, made where there is none.

    Raises:
        SettingsError: it cannot be written.
    """
    _sure_of_name(path, option)
    try:
        path.mkdir(parents=True, exist_ok=True)
        _write_beside(path / "any")
    except OSError as error:
        raise unwritable(path, option, error.strerror, "name a folder of yours") from None
    return path


def file(path: Path, option: str, suffix: str = "") -> Path:
    """The file of an option; what it holds stays until it is written.

    Args:
        path: of the file.
        option: that names it.
        suffix: that its name must have, as `.png`.

    Raises:
        SettingsError: it cannot be written, or has another suffix.
    """
    hint = f"name a {suffix} file of yours" if suffix else "name a file of yours"
    if suffix and path.suffix.lower() != suffix:
        raise unwritable(path, option, f"it does not end in {suffix}", hint)
    _sure_of_name(path, option)
    is_new = not path.exists()
    try:
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise unwritable(path, option, error.strerror, hint) from None
    return path


def free(path: Path, option: str) -> Path:
    """A place for a new folder, with all folders above it.

    Raises:
        SettingsError: something is there already, or nothing can be put there.
    """
    _sure_of_name(path, option)
    if path.exists():
        raise SettingsError(
            f"{option}: {path} is there already", hint="name another, or move it away"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_beside(path)
    except OSError as error:
        raise unwritable(path, option, error.strerror, "name a folder of yours") from None
    return path


def room(folder: Path, size_bytes: int) -> None:
    """Be sure of room among the temporary files: libraries that lack it fail beside the point.

    Raises:
        SettingsError: less is free.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < size_bytes:
        raise SettingsError(
            f"{folder} has {free_bytes / 1e6:.1f} MB free, and temporary files take about "
            f"{size_bytes / 1e6:.1f} MB",
            hint="make room, or set TMPDIR to another folder",
        )


def write(path: Path, option: str, text: str, mode: int = 0o644) -> None:
    """Let the file of an option hold `text`, or all that it held before.

    Args:
        path: a file, or what is none, as /dev/stdout, which is written as it is.
        option: that names it.
        text: all of it.
        mode: who may read it, as far as the umask lets them.

    Raises:
        SettingsError: it cannot be written.
    """
    # /dev/stdout may be a file, and whoever gave it writes on; a folder that is not there is a slip
    # of the pen.
    is_ours = path.parent.is_dir() and (path.is_file() or not path.exists())
    try:
        if not is_ours or path.parts[:2] in _NO_FILES:
            path.write_text(text, encoding="utf-8")
        else:
            replace_file(path.resolve(), text.encode(), mode)
    except OSError as error:
        hint = "make room, or name another file"
        raise unwritable(path, option, error.strerror, hint) from None


def unwritable(path: Path, option: str, reason: str | None, hint: str) -> SettingsError:
    """The error that every command gives for a place that cannot be written."""
    return SettingsError(f"{option}: cannot write {path}: {reason}", hint=hint)


def _sure_of_name(path: Path, option: str) -> None:
    if not is_text(path):
        raise unwritable(path, option, "its name is no UTF-8", "name another")


def _write_beside(path: Path) -> None:
    tempfile.TemporaryFile(dir=path.parent).close()
