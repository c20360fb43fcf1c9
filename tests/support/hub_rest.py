"""IoT Hub's service REST API in front of devhub: direct methods, with the hub's own statuses."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from devhub import DevHub, MethodTimeout, ModuleNotConnected

_METHODS: Final = re.compile(r"/twins/([^/]+)/modules/([^/]+)/methods")


@dataclass
class ServiceSide:
    """Where it serves, and what modules answered."""

    endpoint: str = ""
    answers: list[Any] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def results(self) -> list[dict[str, str]]:
        """What modules said of each verdict."""
        return [result for answer in self.answers for result in answer["results"]]


@contextmanager
def service_side(hub: DevHub) -> Iterator[ServiceSide]:
    """Serve the methods of a hub's modules."""
    side = ServiceSide()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = self._invoke(body)
            side.statuses.append(status)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _invoke(self, body: Any) -> tuple[int, Any]:  # noqa: ANN401 - whatever JSON gave
            named = _METHODS.fullmatch(urlsplit(self.path).path)
            if named is None or unquote(named[1]) != hub.device_id:
                return 404, {"Message": "ErrorCode:DeviceNotFound"}
            try:
                answer = hub.invoke_method(
                    body["methodName"], body["payload"], 10, unquote(named[2])
                )
            except ModuleNotConnected:
                return 404, {"Message": "ErrorCode:DeviceNotOnline"}
            except MethodTimeout:
                return 504, {"Message": "ErrorCode:GatewayTimeout"}
            if answer.status == 200:
                side.answers.append(answer.payload)
            return 200, {"status": answer.status, "payload": answer.payload}

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    side.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield side
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
