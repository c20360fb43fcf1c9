"""The hub's address: claims it, accepts TCP, and makes TLS of it.

Modules find the hub by address alone, because the SDK's port is fixed (8883): every hub claims a
loopback address of its own (Linux has all of 127/8), so hubs run side by side. The claim is a UDP
socket of the same number, held for the hub's life: a hub that refuses TCP for a while does not
lose its address to another.
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Awaitable, Callable

from devhub.errors import AddressUnavailable
from devhub.events import Feed
from devhub.faults import FaultPanel, Faults

MQTT_TLS_PORT = 8883
_HANDSHAKE_TIMEOUT_S = 10.0
_SHUTDOWN_TIMEOUT_S = 1.0
_BACKLOG = 128
_ACCEPT_PAUSE_S = 0.1
_LAST_HOST = 250

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class AddressClaim:
    """A loopback address that is this hub's until `release`.

    Args:
        address: The address to claim, or None for any that is free.
        port: The TCP port that will be listened on.

    Raises:
        AddressUnavailable: It is taken, or none is free.
    """

    def __init__(self, address: str | None, port: int) -> None:
        self.port = port
        hosts = [*range(2, _LAST_HOST)]
        random.shuffle(hosts)
        for candidate in [address] if address else [f"127.0.0.{host}" for host in hosts]:
            claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                claim.bind((candidate, port))
                self.tcp_socket(candidate).close()
            except OSError as error:
                claim.close()
                reason = error
                continue
            self.address = candidate
            self._claim = claim
            return
        wanted = address or f"127.0.0.2 to 127.0.0.{_LAST_HOST - 1}"
        raise AddressUnavailable(f"no free address in {wanted}, port {port}: {reason}")

    def tcp_socket(self, address: str | None = None) -> socket.socket:
        """A bound, not yet listening TCP socket on the address."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address or self.address, self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def release(self) -> None:
        """Gives the address back."""
        self._claim.close()


class Listener:
    """Accepts connections on a claimed address and serves each as a TLS stream.

    Attributes:
        tls: The context of the next handshake; replace it to rotate the certificate.
        accepted: TCP connections accepted so far.
    """

    def __init__(
        self, claim: AddressClaim, tls: ssl.SSLContext, serve: Serve, panel: FaultPanel, feed: Feed
    ) -> None:
        self.tls = tls
        self.accepted = 0
        self._claim = claim
        self._serve = serve
        self._panel = panel
        self._feed = feed
        self._socket: socket.socket | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._mute: set[socket.socket] = set()
        panel.watch(self._faults_changed)

    def open(self) -> None:
        """Listens; does nothing if it does already."""
        if self._socket:
            return
        self._socket = self._claim.tcp_socket()
        self._socket.listen(_BACKLOG)
        self._watch()

    def refuse(self) -> None:
        """Stops listening, so that new connections are refused; open ones live on."""
        if self._socket:
            # The loop must let go of the descriptor before another socket can get its number.
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def close(self) -> None:
        """Stops listening and ends every connection."""
        self.refuse()
        self.drop_unready()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def drop_unready(self) -> None:
        """Closes the connections that are not yet served: in their handshake, or left mute."""
        for task in self._handshakes:
            task.cancel()
        for sock in self._mute:
            sock.close()
        self._mute.clear()

    def _faults_changed(self, before: Faults, after: Faults) -> None:
        if before.refuse_tcp != after.refuse_tcp:
            if after.refuse_tcp:
                self.refuse()
            else:
                self.open()
        if before.no_tls and not after.no_tls:
            self.drop_unready()

    def _watch(self) -> None:
        if self._socket:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            sock, _peer = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors: the socket stays readable, so look again a little later.
            self._feed.emit("tcp-failed", "", str(error))
            loop.remove_reader(listening)
            loop.call_later(_ACCEPT_PAUSE_S, self._watch)
            return
        sock.setblocking(False)
        self.accepted += 1
        if self._panel.now.no_tls:
            self._mute.add(sock)
            self._feed.emit("muted", "", "TCP accepted, no TLS will come")
            return
        task = loop.create_task(self._connection(sock))
        for tasks in (self._connections, self._handshakes):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        # Here, because one that is cancelled before its first step never enters `_connection`.
        task.add_done_callback(lambda ended: sock.close() if ended.cancelled() else None)

    async def _connection(self, sock: socket.socket) -> None:
        try:
            reader, writer = await self._handshake(sock)
        except OSError as error:  # ssl.SSLError and ConnectionError are OSErrors
            self._feed.emit("tls-failed", "", str(error))
            return
        if task := asyncio.current_task():
            self._handshakes.discard(task)
        await self._serve(reader, writer)

    async def _handshake(
        self, sock: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        await self._panel.until(lambda faults: not faults.freeze)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            sock,
            ssl=self.tls,
            ssl_handshake_timeout=_HANDSHAKE_TIMEOUT_S,
            ssl_shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
