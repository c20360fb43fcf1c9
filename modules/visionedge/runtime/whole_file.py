"""A small file that is there whole, the old or the new, whenever the power goes.

A new file beside the old one, synced, put in its place, and the folder synced: rename is
atomic on every file system that a device has (POSIX), and what is not synced may be empty
after a power cut. Only the module's own user may read it, unless it is meant for others too.
"""

import os
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Let `path` hold `content`; its folder is made if need be.

    Args:
        path: the file.
        content: all of it.
        mode: who may read it, as far as the umask lets them.

    Raises:
        OSError: it holds what it held before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        # What a full disk took of it would only keep the disk full.
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
