"""A claim on the folder of the spool: two modules that keep their things in one are told apart.

Beside the spool lie the last good settings, what was told to rest, and delivered models. Each of
them has one writer at a time; a second module would send what the first one keeps, and begin with
its settings. So whoever runs the module claims the whole folder, and not the file alone.

The claim is a lock of the kernel on the folder itself (flock): it goes with the process, however
that ends, children do not inherit it, it holds between containers that share a volume, and needs
no file, so a full or read-only disk is no matter. Whoever only reads the spool takes none.

Not promised: that every file system locks folders. Where one does not, as some of a network, or the
folder cannot be made, the module starts as ever and the log says so. Nor that two claims exclude
each other where somebody has put another folder in the place of the first.
Source: flock(2).
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from visionedge.errors import SettingsError
from visionedge.settings import Beginning, resolve

log: Final = logging.getLogger(__name__)
_PATIENCE_S: Final = 1.0
"""For one that is just ending, or a child of it that still has its files (execve(2))."""
_LOOK_S: Final = 0.02


@contextmanager
def alone(begun: Beginning) -> Iterator[Beginning]:
    """Hold what a start goes by against other modules, until the block ends.

    Where another one holds the place to which the twin has moved the spool, the start goes by the
    other sources, because a module that does not start cannot be told better.

    Args:
        begun: what the start goes by.

    Yields:
        What to go by now.

    Raises:
        SettingsError: another module works where the settings say; nothing was changed.
    """
    path = Path(begun.settings.spool.path)
    with ExitStack() as held:
        if path.parent.resolve() == begun.folder.resolve():
            held.enter_context(_claimed(path))
        else:
            without = resolve(begun.layers)
            held.enter_context(_claimed(Path(without.spool.path)))
            try:
                held.enter_context(_claimed(path))
            except SettingsError as error:
                log.error("the last good settings cannot be used: %s", error)
                begun = replace(begun, settings=without, kept=None)
        yield begun


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    descriptor = _opened(path.parent)
    try:
        if descriptor is not None:
            _lock(descriptor, path)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _opened(folder: Path) -> int | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        _tell(folder, error)
        return None


def _lock(descriptor: int, path: Path) -> None:
    try:
        is_ours = _locked(descriptor)
    except OSError as error:
        _tell(path.parent, error)
        return
    if not is_ours:
        raise SettingsError(
            f"spool.path: another module works in the folder of {path}",
            fields={"spool.path": "another module works in its folder"},
            hint="set spool.path to a file in a folder of its own, or stop the other module",
        )


def _locked(descriptor: int) -> bool:
    deadline_s, pause = time.monotonic() + _PATIENCE_S, threading.Event()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                return False
            pause.wait(_LOOK_S)
        else:
            return True


def _tell(folder: Path, error: OSError) -> None:
    log.warning(
        "%s cannot be locked (%s): see that no other module uses it", folder, error.strerror
    )
