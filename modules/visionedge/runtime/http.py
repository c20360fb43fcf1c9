"""A very small HTTP server for /metrics and /healthz, in one worker.

Not a web server: GET only, one request at a time, fixed paths, no files. It listens where
the settings say, by default on loopback only. A request is answered when all of it is there,
and has one deadline until then: clients that say nothing, or send a byte now and then, must
not make the health check time out. They wait beside each other, and no more than `_MOST_WAITING`.
While another is answered nobody is read, so that time is nobody's: it is added to the deadlines.
"""

import errno
import http.server
import io
import logging
import selectors
import socket
import socketserver
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from visionedge.errors import SettingsError
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.worker import Worker

log: Final = logging.getLogger(__name__)
_REQUEST_TIMEOUT_S: Final = 2.0
_POLL_S: Final = 0.25
_MOST_WAITING: Final = 64
"""Clients whose request is not complete; for one more the oldest is dropped."""
_MAX_REQUEST_BYTES: Final = 16 * 1024
_ENDS: Final = (b"\n\r\n", b"\n\n")


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200


Routes = Mapping[str, Callable[[], Response]]


class HttpServer:
    """Serves `routes` until stopped.

    Args:
        host: address to listen on.
        port: 0 takes any free one; see `port`.
        routes: path to what makes its answer.
        clock: tells when a client's time is over.

    Raises:
        SettingsError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int, routes: Routes, clock: Clock | None = None) -> None:
        try:
            self._server = _Server((host, port), _handler(routes), clock or SystemClock())
        except OSError as error:
            wrong_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            raise SettingsError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                fields={"http.host" if wrong_host else "http.port": str(error.strerror)},
                hint="set http.host to an address of this device"
                if wrong_host
                else "set http.port to a free port, or to 0 for none",
            ) from None
        self.worker: Final = Worker("http", self._serve, stuck_after_s=30)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self.worker.start()

    def stop(self, timeout_s: float) -> None:
        """Stop answering and let the port go."""
        self.worker.stop(timeout_s)
        self._server.server_close()

    def _serve(self, worker: Worker) -> None:
        while not worker.stopping:
            worker.beat()
            self._server.handle_request()
            self._server.drop_late()


@dataclass(slots=True)
class _Client:
    """A connection whose request is on its way."""

    connection: socket.socket
    address: object
    until_ns: int
    request: bytearray = field(default_factory=bytearray)


class _Server(http.server.HTTPServer):
    """Keeps clients beside each other until their requests are complete: those it then answers."""

    timeout = _POLL_S
    request_queue_size = _MOST_WAITING

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[http.server.BaseHTTPRequestHandler],
        clock: Clock,
    ) -> None:
        self._clock = clock
        # First, because a base class that cannot listen closes all there is.
        self._clients: dict[socket.socket, _Client] = {}
        self._selector = selectors.DefaultSelector()
        super().__init__(address, handler)
        self._selector.register(self.socket, selectors.EVENT_READ)

    def fileno(self) -> int:
        """What the base class waits for: anything of anybody."""
        return self._selector.fileno()

    def get_request(self) -> tuple[Any, Any]:
        """A request that is complete; OSError, as the base class wants it, where none is."""
        for key, _ in self._selector.select(0):
            if key.data is None:
                self._welcome()
            # One that has just made room for another is not there any more.
            elif (client := self._clients.get(key.data)) and _is_complete(client):
                self._forget(client)
                return (bytes(client.request), client.connection), client.address
        raise BlockingIOError

    def drop_late(self) -> None:
        """Let clients go whose time is over."""
        now_ns = self._clock.ns()
        for late in [each for each in self._clients.values() if each.until_ns <= now_ns]:
            self._drop(late)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class
        began_ns = self._clock.ns()
        try:
            super().process_request(request, client_address)
        finally:
            # What the others have sent meanwhile nobody has read: they are not late by that.
            took_ns = self._clock.ns() - began_ns
            for waiting in self._clients.values():
                waiting.until_ns += took_ns

    def _welcome(self) -> None:
        connection, address = self.socket.accept()
        connection.setblocking(False)
        if len(self._clients) >= _MOST_WAITING:
            self._drop(next(iter(self._clients.values())))
        until_ns = self._clock.ns() + round(_REQUEST_TIMEOUT_S * 1e9)
        self._clients[connection] = _Client(connection, address, until_ns)
        self._selector.register(connection, selectors.EVENT_READ, connection)

    def _forget(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        del self._clients[client.connection]

    def _drop(self, client: _Client) -> None:
        self._forget(client)
        client.connection.close()

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base class
        super().shutdown_request(request[1])

    def server_close(self) -> None:
        for client in [*self._clients.values()]:
            self._drop(client)
        self._selector.close()
        super().server_close()

    def server_bind(self) -> None:
        # HTTPServer would look its own name up, which hangs where DNS does not answer.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        if isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.debug("%s went away before its answer", client_address)
        else:
            log.warning("a request from %s failed", client_address, exc_info=sys.exception())


def _is_complete(client: _Client) -> bool:
    """Whether all of a request is there, with what has come now; also where no more can come."""
    try:
        part = client.connection.recv(_MAX_REQUEST_BYTES)
    except OSError as error:
        log.debug("%s went away before it had asked: %s", client.address, error)
        part = b""
    client.request += part
    is_full = len(client.request) >= _MAX_REQUEST_BYTES
    return not part or is_full or any(end in client.request for end in _ENDS)


def _handler(routes: Routes) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _REQUEST_TIMEOUT_S
        server_version = "visionedge"
        sys_version = ""

        def setup(self) -> None:
            # With what was read already, as a server of datagrams gives it.
            asked, self.request = self.request
            super().setup()
            self.rfile.close()
            self.rfile = io.BufferedReader(io.BytesIO(asked))

        def do_GET(self) -> None:
            route = routes.get(self.path.partition("?")[0])
            response = route() if route else Response(b"not found\n", status=404)
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as the base class
            log.debug(format, *args)

    return Handler
