"""What a run is told on its command line, made sure of before anything starts.

A run lasts minutes, and one of them begins with an empty folder. So a folder is emptied only if
an earlier run of the same kind left it, which its mark tells, and a time that is none is refused
at once.

What this does not promise: that the folder can still be written at the end.
"""

import argparse
import math
import shutil
from pathlib import Path


class Unusable(Exception):
    """A folder that cannot be used; name another with `--folder`."""


def seconds(text: str) -> float:
    """A time of the command line, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no time: give seconds, 0 or more")
    return value


def made(folder: Path) -> Path:
    """The folder, made where there is none.

    Raises:
        Unusable: it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(
            f"{folder} cannot be made: {error.strerror}; name another folder with --folder"
        ) from None
    return folder


def emptied(folder: Path, mark: str) -> Path:
    """The folder, without what an earlier run left in it.

    Args:
        folder: of the run.
        mark: name of a file that only such a run writes.

    Raises:
        Unusable: it cannot be made, or holds something else.
    """
    if (folder / mark).exists():
        shutil.rmtree(folder)
    if any(made(folder).iterdir()):
        raise Unusable(
            f"{folder} is not empty, and not of an earlier run; name another folder with --folder"
        )
    return folder
