"""A very small HTTP server for /metrics and /healthz, in one worker.

Not a web server: GET only, one request at a time, fixed paths, no files. It listens where
the settings say, by default on loopback only. The whole request has one deadline: a client
that sends a byte now and then must not make the health check time out.
"""

import errno
import http.server
import io
import logging
import socket
import socketserver
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from visionedge.errors import SettingsError
from visionedge.runtime.in_time import InTime
from visionedge.runtime.worker import Worker

log: Final = logging.getLogger(__name__)
_REQUEST_TIMEOUT_S: Final = 2.0
_POLL_S: Final = 0.25


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

    Raises:
        SettingsError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int, routes: Routes) -> None:
        try:
            self._server = _Server((host, port), _handler(routes))
        except OSError as error:
            wrong_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            raise SettingsError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                fields={"http.host" if wrong_host else "http.port": str(error.strerror)},
                hint="set http.host to an address of this device"
                if wrong_host
                else "set http.port to a free port, or to 0 for none",
            ) from None
        self._server.timeout = _POLL_S
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


class _Server(http.server.HTTPServer):
    def server_bind(self) -> None:
        # HTTPServer would look its own name up, which hangs where DNS does not answer.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        log.warning("a request from %s failed", client_address, exc_info=sys.exception())


def _handler(routes: Routes) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _REQUEST_TIMEOUT_S
        server_version = "visionedge"
        sys_version = ""

        def setup(self) -> None:
            super().setup()
            self.rfile.close()
            deadline_s = time.monotonic() + _REQUEST_TIMEOUT_S
            self.rfile = io.BufferedReader(
                InTime(self.connection, lambda: deadline_s - time.monotonic())
            )

        def do_GET(self) -> None:
            route = routes.get(self.path.partition("?")[0])
            response = route() if route else Response(b"not found\n", status=404)
            self.connection.settimeout(_REQUEST_TIMEOUT_S)
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as the base class
            log.debug(format, *args)

    return Handler
