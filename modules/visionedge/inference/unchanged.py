"""What was read of a file, remembered for as long as the file is as it was.

A start asks four times for the hash of a model and three times for its header, each time in a
part that should not know of the others: some 20 ms for one of 4 MB. A file counts as it was while
its place on the disk, its size and its times are, as for `make`. Whoever writes in the same
tick of the clock that it was read in, as many bytes as there were, is not seen; nothing
here writes to a file that a model was loaded from.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")
_KEPT: Final = 32


def while_unchanged(read: Callable[[Path], T]) -> Callable[[Path], T]:
    """`read`, asked once for a file that stays as it is. What it raises is not remembered.

    What it returns is shared by all who ask, so they must not change it.
    """

    @lru_cache(_KEPT)
    def remembered(path: Path, *_: int) -> T:
        return read(path)

    @wraps(read)
    def asked(path: Path) -> T:
        stat = path.stat()
        return remembered(
            path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        )

    return asked
