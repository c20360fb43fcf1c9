"""Calls of urllib3 that end in time, whoever drips.

A socket's timeout begins anew with each byte that comes, so an answer whose head or body comes
byte by byte holds a call for as long as it likes: beyond the claim on the escalation, which
another worker then takes and pays for again. Here a head has the time of its call, by a timer
that shuts the socket down, and who reads the body says before each read what is left.

Source: urllib3 2, `HTTPConnection.getresponse`; socket(7).
"""

import socket
import ssl
import threading
from contextlib import suppress
from typing import Final

import urllib3

_DEFAULT_S: Final = 5.0
"""Where a connection has no timeout of its own; ours always has."""
_reads: Final = threading.local()
"""`sock`: what the latest call of this thread reads from."""


class _InTime(urllib3.connection.HTTPConnection):
    """Over TCP."""

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        """As it does, within the connection's timeout."""
        sock = _reads.sock = self.sock
        timer = threading.Timer(self.timeout or _DEFAULT_S, _shut, (sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


class _SecureInTime(_InTime, urllib3.connection.HTTPSConnection):
    """Over TLS."""

    def connect(self) -> None:
        """As it does; without a handshake there is no connection, and nothing is charged."""
        try:
            super().connect()
        except ssl.SSLError as error:
            raise urllib3.exceptions.NewConnectionError(self, type(error).__name__) from None


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _InTime


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureInTime


def pool(maxsize: int) -> urllib3.PoolManager:
    """Connections to any host whose heads end in time; nothing is tried again."""
    manager = urllib3.PoolManager(retries=False, maxsize=maxsize)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def read_within(left_s: float) -> None:
    """Let the next read of the latest answer of this thread wait no longer.

    A connection that goes back to the pool gets the timeout of its next call before that is sent.
    """
    # A socket that is closed already has been read whole.
    with suppress(OSError):
        _reads.sock.settimeout(left_s)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        # Not SSLSocket's own: another thread reads through its object.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
