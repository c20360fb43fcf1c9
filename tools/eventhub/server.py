"""The event hub as its user sees it: plain calls and one `with` block.

It serves AMQP over TLS on a loopback address of its own, on the port that the SDK insists on
(5671), so a worker is led to it by nothing but its connection string and the authority's file.
"""

import asyncio
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from devhub.authority import Authority
from devhub.listener import AddressClaim
from devhub.loop_thread import LoopThread
from devhub.opened import Opened
from eventhub.access import Claims, Policy
from eventhub.broker import Broker, Transferred
from eventhub.connection import Connection
from eventhub.log import Event, Stored

AMQPS_PORT: Final = 5671
_SHUTDOWN_S: Final = 1.0


class EventHub(Opened):
    """One event hub on loopback for the real SDK.

    Args:
        name: Of the event hub.
        partitions: How many it has.
        authority: Who signs its certificate; a new one if none is given.
        keep: Events that each partition keeps.
    """

    def __init__(
        self,
        name: str = "escalations",
        *,
        partitions: int = 4,
        authority: Authority | None = None,
        keep: int = 1000,
    ) -> None:
        self.authority = authority or Authority()
        self._broker = Broker(name, partitions, keep)
        self._policy = Policy("listen", secrets.token_urlsafe(24))
        self._connections: set[Connection] = set()

    def _open(self, undo: ExitStack) -> None:
        self._claim = AddressClaim(None, AMQPS_PORT)
        undo.callback(self._claim.release)
        self._folder = Path(tempfile.mkdtemp(prefix="eventhub-"))
        undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.ca_file.write_text(self.authority.certificate_pem, encoding="ascii")
        self._loop = LoopThread("eventhub")
        undo.callback(self._loop.stop)
        self._server = self._loop.submit(self._listen()).result(10)
        undo.callback(lambda: self._loop.submit(self._close()).result(10))

    @property
    def address(self) -> str:
        """The loopback address that it serves on, port 5671."""
        return self._claim.address

    @property
    def ca_file(self) -> Path:
        """The authority's certificate, PEM: a client's `connection_verify`."""
        return self._folder / "ca.pem"

    @property
    def connection_string(self) -> str:
        """For a reader; its policy may listen and nothing else."""
        return (
            f"Endpoint=sb://{self.address}/;SharedAccessKeyName={self._policy.name};"
            f"SharedAccessKey={self._policy.key};EntityPath={self._broker.name}"
        )

    def send(self, event: Event) -> Stored:
        """Store an event; readers get it at once."""
        return self._loop.call(self._broker.append, event)

    def readers(self, group: str) -> dict[str, int]:
        """How many read each partition."""
        return self._loop.call(self._broker.readers, group)

    def ends(self) -> dict[str, int]:
        """The next sequence number of each partition."""

        def look() -> dict[str, int]:
            return {id_: each.end for id_, each in self._broker.partitions.items()}

        return self._loop.call(look)

    def on_transfer(self, listener: Transferred) -> None:
        """Call back, on the hub's own loop, for each event that is sent to a reader."""
        self._loop.call(self._broker.listen, listener)

    def drop_connections(self) -> None:
        """End every connection at once; readers may come back."""

        def drop() -> None:
            for connection in list(self._connections):
                connection.drop()

        self._loop.call(drop)

    def _accept(self) -> Connection:
        connection = Served(self._broker, Claims(self._policy), self._connections)
        self._connections.add(connection)
        return connection

    async def _listen(self) -> asyncio.Server:
        context = self.authority.server_context(self.address, (), self._folder)
        return await asyncio.get_running_loop().create_server(
            self._accept,
            sock=self._claim.tcp_socket(),
            ssl=context,
            ssl_shutdown_timeout=_SHUTDOWN_S,
        )

    async def _close(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.drop()
        await asyncio.sleep(0)


class Served(Connection):
    """A connection that leaves the list of those that live when it ends."""

    def __init__(self, broker: Broker, claims: Claims, alive: set[Connection]) -> None:
        super().__init__(broker, claims)
        self._alive = alive

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._alive.discard(self)
        super().connection_lost(exc)
