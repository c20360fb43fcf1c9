"""A network camera over HTTP on loopback, with the faults that real ones have."""

import base64
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_BOUNDARY = "frame"


class HttpCamera:
    """Serves pictures as Motion JPEG (multipart/x-mixed-replace), round and round.

    Args:
        pictures: (H, W, 3) uint8 BGR.
        frames: frames until the connection is closed; None is without end.
        stall_after: frames after which the connection stays open and silent.
        silent: take connections and never answer.
        redirect: answer every request with this Location.
        body: answer every request with these bytes instead.
        credentials: `user:password` that must come as Basic authentication.
        port: 0 takes any free one.
    """

    def __init__(
        self,
        pictures: list[NDArray[np.uint8]],
        *,
        fps: float = 50.0,
        frames: int | None = None,
        stall_after: int | None = None,
        silent: bool = False,
        redirect: str = "",
        body: bytes = b"",
        content_type: str = "application/octet-stream",
        credentials: str = "",
        port: int = 0,
    ) -> None:
        self.requests: list[str] = []
        self.stop = threading.Event()
        self.jpegs = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
        self.fps, self.frames, self.stall_after = fps, frames, stall_after
        self.silent, self.redirect = silent, redirect
        self.body, self.content_type = body, content_type
        self.basic = base64.b64encode(credentials.encode()).decode() if credentials else ""
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, userinfo: str = "", path: str = "/video.mjpg") -> str:
        return f"http://{userinfo + '@' if userinfo else ''}127.0.0.1:{self.port}{path}"

    def __enter__(self) -> "HttpCamera":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class
        """A client that hangs up is what the tests are about."""


def _handler(camera: HttpCamera) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            camera.requests.append(self.path)
            if camera.silent:
                camera.stop.wait(self.timeout)
            elif camera.basic and self.headers.get("Authorization") != f"Basic {camera.basic}":
                self._answer(401, {"WWW-Authenticate": 'Basic realm="camera"'})
            elif camera.redirect:
                self._answer(302, {"Location": camera.redirect})
            elif camera.body:
                self._answer(200, {"Content-Type": camera.content_type}, camera.body)
            else:
                self._play()

        def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _play(self) -> None:
            self.send_response(200)
            mime = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
            self.send_header("Content-Type", mime)
            self.end_headers()
            number = 0
            while not camera.stop.is_set() and number != camera.frames:
                if number == camera.stall_after:
                    camera.stop.wait(self.timeout)
                    return
                jpeg = camera.jpegs[number % len(camera.jpegs)]
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                self.wfile.write(head.encode() + b"\r\n\r\n" + jpeg + b"\r\n")
                number += 1
                camera.stop.wait(1 / camera.fps)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as the base class
            """Nothing: stderr belongs to the tests."""

    return Handler


class SilentPort:
    """A listening socket that completes connections in the kernel and never reads."""

    def __enter__(self) -> "SilentPort":
        self._socket = socket.create_server(("127.0.0.1", 0))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Reset the connections that wait."""
        self._socket.close()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])
