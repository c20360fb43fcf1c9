"""What a `with` block opens whole or not at all.

A part that fails to open closes those before it, and the end closes all in reverse order.
"""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Opened(ABC):
    """Opens its parts in `_open`."""

    @abstractmethod
    def _open(self, undo: ExitStack) -> None:
        """Open every part, and tell `undo` how each is closed."""

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._open(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()
