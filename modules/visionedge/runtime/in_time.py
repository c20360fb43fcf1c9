"""What the other side of a connection sends, until one deadline for all of it.

A socket's own timeout begins anew with each byte that comes: who sends one now and then holds its
reader for as long as it likes. Here each read gets what is left of the whole.
"""

import io
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # In collections.abc from Python 3.12 on only.
    from typing_extensions import Buffer


class InTime(io.RawIOBase):
    """Reads a connection, which stays open until this is closed, as with `makefile`.

    Args:
        connection: TCP or TLS.
        left_s: asked before each read; 0 or less ends it with TimeoutError.
    """

    def __init__(self, connection: socket.socket, left_s: Callable[[], float]) -> None:
        self._connection: Final = connection
        self._left_s: Final = left_s
        self._raw: Final = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "Buffer") -> int | None:
        """As for any raw stream; raises TimeoutError when the time is over."""
        left_s = self._left_s()
        if left_s <= 0:
            raise TimeoutError("it took too long")
        self._connection.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let the connection go."""
        self._raw.close()
        super().close()
