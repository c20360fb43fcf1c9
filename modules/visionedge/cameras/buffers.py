"""Memory for frames that is used again, instead of asked for and given back for each.

A frame of 1080p has 6 MB. Asked for anew it is fresh memory that the kernel clears page by
page, which takes a tenth of what decoding takes, and what is given back stays with malloc,
between other things, so that the process grows. So a capture writes into an array that it
wrote into before, once nobody looks at it any more.

Nobody is asked to say so: who looks at a frame holds a view of the array, and every view of a
view holds the array itself (NumPy's `base`), so its count of references tells. What this does
not promise: anything for code that keeps an address without a reference.
"""

import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MOST: Final = 2
"""One that is looked at or waits, and one that is written; what a burst needs is not kept."""


def _references(kept: list[NDArray[np.uint8]]) -> list[int]:
    """How many there are to each; the list's own, and those of looking, are counted too."""
    return [sys.getrefcount(buffer) for buffer in kept]


_IDLE: Final = _references([np.empty(0, np.uint8)])[0]
"""Of one that only a list holds: measured, because looking takes more or fewer by the version."""


class FrameBuffers:
    """The arrays of one capture. For one thread; views may be dropped by any.

    Args:
        most: arrays that are kept.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: list[NDArray[np.uint8]] = []

    def idle(self) -> NDArray[np.uint8] | None:
        """An array of the latest frames' size that nobody looks at; None where there is none."""
        # Who holds no view can make none, so what is idle now stays so.
        for buffer, references in zip(self._kept, _references(self._kept), strict=True):
            if references == _IDLE:
                return buffer
        return None

    def lend(self, filled: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A view of an array that was filled, which is used again when the last view is gone.

        Args:
            filled: from `idle`, or new: then it is kept where there is room.
        """
        if not any(filled is buffer for buffer in self._kept):
            self._kept = [each for each in self._kept if each.shape == filled.shape]
            if len(self._kept) < self._most:
                self._kept.append(filled)
        return filled.view()
