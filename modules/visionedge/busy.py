"""How many threads run models at once: what a new model is made ready for.

Who runs a model borrows buffers that nobody else has meanwhile, and a new model is run once in
each set of them before it takes over (`handover`). As many as there are workers would be too many
for most lines: one with time between two frames never has two at once. So it is counted, over the
latest frames, which are enough for what is rare and forget how the line began.
"""

from collections import deque
from typing import Final

_LATELY: Final = 1000


class Busy:
    """Counts. `frames` and `second` may be asked by any thread."""

    def __init__(self) -> None:
        self._at_once: Final[deque[int]] = deque(maxlen=_LATELY)
        self.second = False
        """Whether second looks are taken besides, on a thread of their own."""

    @property
    def frames(self) -> int:
        """Frames that were looked at at once, at most; at least 1."""
        # A copy: workers go on to count.
        return max([*self._at_once], default=1)

    def met(self, at_once: int) -> None:
        """A frame is looked at, the last of so many."""
        self._at_once.append(at_once)
