"""A Vision API on loopback: answers from a list, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

EXAMPLES: Final = Path(__file__).parents[3] / "shared/vision-api-examples"


def example(name: str) -> Any:  # noqa: ANN401 - whatever JSON gave
    """An official body; skips where the examples are not there."""
    path = EXAMPLES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no {name}.json in ../shared/vision-api-examples")
    return json.loads(path.read_text())["body"]


@dataclass(frozen=True)
class Reply:
    """What the service says next; a dict or list goes as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Request:
    """What the service was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes

    def parts(self) -> list[tuple[str, bytes]]:
        """Name and content of the fields of a form."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + self.body)
        fields = []
        for part in form.walk():
            if not part.is_multipart():
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                fields.append((str(part.get_param("name", header="content-disposition")), content))
        return fields


@dataclass
class Stub:
    """A running service; the last of `replies` is given for ever."""

    replies: list[Reply]
    requests: list[Request] = field(default_factory=list)
    endpoint: str = ""
    hold: threading.Event = field(default_factory=threading.Event)
    held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_while_held(self) -> None:
        with self._lock:
            self.held += 1
        self.hold.wait(20)
        with self._lock:
            self.held -= 1

    def next(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.replies[min(len(self.requests), len(self.replies)) - 1]


@contextmanager
def serving(*replies: Reply) -> Iterator[Stub]:
    """A service that gives these replies in turn."""
    stub = Stub(list(replies))
    stub.hold.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            reply = stub.next(Request(self.command, parts.path, query, self.headers, body))
            stub.wait_while_held()
            content = reply.encoded()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value.replace("{endpoint}", stub.endpoint))
            if "Content-Type" not in reply.headers:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET = do_PATCH = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.hold.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
