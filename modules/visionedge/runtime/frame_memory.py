"""Memory for frames: maps of their own, used again, and given back when nobody needs them.

A frame of 1080p has 6 MB. Asked for anew it is fresh memory, which the kernel clears page by page:
that takes three times as long as writing the picture. From malloc it stays with malloc when it is
dropped, between other things, so that the process grows. So each frame lies in a map of its own,
which no other thing shares. A few that are idle are kept for whichever camera writes next: those
that take turns need fewer together than each by itself. What a burst needed goes back at once.

Nobody is asked to say that a frame is done with: who looks at it holds a view of the array, every
view of a view holds the array itself (NumPy's `base`), and when the last is gone, the array is.
What this does not promise: anything for code that keeps an address without a reference; nor that
a burst is cheap on a kernel without huge pages.

New maps ask for huge pages where those waste nothing: three of them in place of 1,519 small ones
make the first writing of a 1080p frame take 1.2 in place of 3.8 ms (madvise(2), MADV_HUGEPAGE).
"""

import math
import mmap
import weakref
from collections import deque
from contextlib import suppress
from typing import Final

import numpy as np

from visionedge.entities import Image

_MOST_IDLE: Final = 4
"""Maps that are kept: two would spare up to 20 MB with eight cameras, for 2 to 4 % of the CPU."""
_PRIVATE: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_HUGE_BYTES: Final = 2 * 1024**2
"""A huge page of x86-64, and of ARM64 with pages of 4 KiB. Others do not heed the advice."""
_WASTE: Final = 32
"""A last huge page is asked for where no more than one part in so many is beyond the frame."""


class FrameMemory:
    """Where frames lie. Safe for many threads; views may be dropped by any.

    Args:
        most_idle: maps that are kept while nobody looks at what is in them.
    """

    def __init__(self, most_idle: int = _MOST_IDLE) -> None:
        # Its single calls are atomic, also where the last view is dropped within one of them.
        self._idle: deque[mmap.mmap] = deque(maxlen=most_idle)

    def array(self, shape: tuple[int, ...]) -> Image:
        """A writeable array of `shape`, uint8, that nobody else has; what is in it is left over."""
        size_bytes = math.prod(shape)
        block = self._idle_of(_length(size_bytes)) or _new(size_bytes)
        array: Image = np.ndarray(shape, np.uint8, buffer=block)
        weakref.finalize(array, self._idle.append, block).atexit = False
        return array

    def _idle_of(self, length_bytes: int) -> mmap.mmap | None:
        for _ in range(len(self._idle)):
            try:
                block = self._idle.pop()
            except IndexError:
                # Another thread took the last.
                return None
            if len(block) == length_bytes:
                return block
            # Another size's, so it goes to the end that is given back first.
            self._idle.appendleft(block)
        return None


def _length(size_bytes: int) -> int:
    """Of the map: whole huge pages, because the kernel aligns only such ones to them."""
    whole = -(-size_bytes // _HUGE_BYTES) * _HUGE_BYTES
    return whole if size_bytes >= _HUGE_BYTES else max(1, size_bytes)


def _new(size_bytes: int) -> mmap.mmap:
    length = _length(size_bytes)
    block = mmap.mmap(-1, length, flags=_PRIVATE)
    is_little = length - size_bytes <= size_bytes // _WASTE
    huge = length if is_little else max(0, length - _HUGE_BYTES)
    # A kernel without huge pages refuses the advice, which changes nothing.
    with suppress(OSError):
        if huge:
            block.madvise(mmap.MADV_HUGEPAGE, 0, huge)
        if huge < length:
            # What is beyond the frame is never touched, so it takes no memory in small pages.
            block.madvise(mmap.MADV_NOHUGEPAGE, huge)
    return block


FRAMES: Final = FrameMemory()
"""That of the process, which all share."""
