"""A small HTTPS server on loopback: one function from request to answer, in threads of its own.

For what stands around a hub in the cloud and speaks HTTP. TLS always: what is tested then is what
runs, certificate checks and all. The handshake is done in the request's thread, so that a client
which never finishes it holds up nobody.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from devhub.authority import Authority
from devhub.opened import Opened

_IDLE_S: Final = 60.0
_MAX_BODY_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; names of headers are lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handle = Callable[[Request], Answer]


class HttpsServer(Opened):
    """Serves `handle` in a `with` block.

    Args:
        address: A loopback address.
        authority: Signs the certificate.
        handle: Called in a thread for each connection; answers every request.
    """

    def __init__(self, address: str, authority: Authority, handle: Handle) -> None:
        self._address = address
        self._authority = authority
        self._handle = handle

    @property
    def host(self) -> str:
        """`ADDRESS:PORT`."""
        return f"{self._address}:{self._server.server_address[1]}"

    def _open(self, undo: ExitStack) -> None:
        folder = Path(tempfile.mkdtemp(prefix="devhub-https-"))
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        context = self._authority.server_context(self._address, (), folder)
        self._server = _Server((self._address, 0), _handler(self._handle))
        undo.callback(self._server.server_close)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="https", daemon=True
        )
        thread.start()
        undo.callback(thread.join, 10)
        undo.callback(self._server.shutdown)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is none of ours."""


def _handler(handle: Handle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _IDLE_S

        def _answer(self) -> None:
            size = min(int(self.headers.get("Content-Length") or 0), _MAX_BODY_BYTES)
            headers = {name.lower(): value for name, value in self.headers.items()}
            path = urlsplit(self.path).path
            answer = handle(Request(self.command, path, headers, self.rfile.read(size)))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PATCH = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Whoever handles a request may tell of it."""

    return Handler
