"""The hub's body: its address, loop, authority, sockets, in the order that they live and die.

Everything that `open` makes is undone in the opposite order by `close`, also when opening fails
half way. All methods are called from outside of the loop's thread and return when what they did
is in force.
"""

import shutil
import tempfile
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from devhub.authority import Authority
from devhub.edge import EdgeHub
from devhub.errors import HubClosed
from devhub.events import Feed
from devhub.faults import FaultPanel, Faults, FaultValue
from devhub.ledger import MessageLedger
from devhub.link import Link
from devhub.listener import MQTT_TLS_PORT, AddressClaim, Listener
from devhub.loop_thread import LoopThread
from devhub.session import Session
from devhub.workload import WorkloadApi

_T = TypeVar("_T")
_MAX_SOCKET_PATH_BYTES = 107
_CALL_TIMEOUT_S = 10.0


class Server:
    """One serving hub.

    Args:
        iothub_hostname: The name that tokens are made for.
        ledger: Takes the messages.

    Attributes:
        feed: Tells what happens; listeners may be added before `open`.
        panel: The faults.
        edge: The meaning of the packets; identities may be added before `open`.
    """

    def __init__(self, iothub_hostname: str, ledger: MessageLedger) -> None:
        self.feed = Feed()
        self.panel = FaultPanel()
        self.edge = EdgeHub(iothub_hostname, self.panel, self.feed, ledger)
        self._links: set[Link] = set()
        self._opened = False
        self._undo = ExitStack()

    @property
    def address(self) -> str:
        """The loopback address that is served on."""
        self._require_open()
        return self._claim.address

    @property
    def ca_file(self) -> Path:
        """The authority's certificate, PEM."""
        self._require_open()
        return self._folder / "ca.pem"

    @property
    def workload_socket(self) -> Path:
        """The workload API's unix socket."""
        self._require_open()
        return self._folder / "workload.sock"

    @property
    def accepted(self) -> int:
        """TCP connections accepted so far."""
        self._require_open()
        return self._listener.accepted

    def open(self, address: str | None) -> None:
        """Starts to serve; once.

        Raises:
            AddressUnavailable: The address is taken, or none is free.
        """
        if self._opened:
            raise RuntimeError("a hub is started once; make a new one")
        self._opened = True
        with ExitStack() as undo:
            self._claim = AddressClaim(address, MQTT_TLS_PORT)
            undo.callback(self._claim.release)
            self._folder = _private_folder()
            undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
            undo.callback(self.feed.close)
            self._loop = LoopThread(f"devhub-{self.address}")
            undo.callback(self._loop.stop)
            self._wait(self._open())
            undo.callback(self._close)
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Stops serving and removes what is on disk; can be called again."""
        self._undo.close()

    def call(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Calls a function on the loop and returns what it returns."""
        self._require_open()
        return self._loop.call(function, *arguments)

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Starts a coroutine on the loop; cancelling the future cancels it."""
        if not self._opened:
            coroutine.close()
        self._require_open()
        return self._loop.submit(coroutine)

    def set_faults(self, changes: Mapping[str, FaultValue], *, clear: bool) -> Faults:
        """Changes the faults; with `clear`, all others go to rest."""

        async def change() -> Faults:
            faults = self.panel.set(changes, clear=clear)
            await self._workload.settle()
            return faults

        return self._wait(change())

    def drop_links(self) -> None:
        """Drops every link once."""

        def drop() -> None:
            self._drop("the hub dropped the link")
            self._listener.drop_unready()

        self.call(drop)

    def lose_sessions(self) -> None:
        """Forgets every session and drops the links."""

        def lose() -> None:
            self._drop("the hub was re-created")
            for identity in self.edge.identities.values():
                identity.session = Session()

        self.call(lose)

    def rotate_authority(self) -> None:
        """Makes a new authority and certificate and drops the links."""

        def rotate() -> None:
            self._issue()
            self._listener.tls = self._tls
            self._drop("the authority was rotated")

        self.call(rotate)

    def _require_open(self) -> None:
        if not self._opened:
            raise HubClosed("the hub is not started: use `with DevHub() as hub`")

    def _wait(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.submit(coroutine).result(_CALL_TIMEOUT_S)

    async def _open(self) -> None:
        self._issue()
        self._listener = Listener(self._claim, self._tls, self._serve_link, self.panel, self.feed)
        self._workload = WorkloadApi(
            self.workload_socket,
            lambda: self._authority.certificate_pem,
            self.edge.identities,
            self.panel,
            self.feed,
        )
        await self._workload.open()
        self._listener.open()
        self.feed.emit("listening", "", f"{self.address}:{MQTT_TLS_PORT}")

    def _close(self) -> None:
        async def shut() -> None:
            self._drop("the hub is closing")
            await self._listener.close()
            await self._workload.close()

        self._wait(shut())

    async def _serve_link(self, reader: StreamReader, writer: StreamWriter) -> None:
        link = Link(self.edge, self.panel, self.feed, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def _drop(self, reason: str) -> None:
        for link in list(self._links):
            link.drop(reason)

    def _issue(self) -> None:
        self._authority = Authority()
        self.ca_file.write_text(self._authority.certificate_pem)
        self._tls = self._authority.server_context(self.address, ("localhost",), self._folder)


def _private_folder() -> Path:
    """A new folder, for this user only, with a path short enough for a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="devhub-"))
    if len(bytes(folder / "workload.sock")) > _MAX_SOCKET_PATH_BYTES:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="devhub-", dir="/tmp"))
    return folder
