"""A tiny RTSP server on loopback that plays JPEG pictures, for tests of network cameras.

One picture list, any number of clients, RTP/JPEG (RFC 2435) interleaved in the RTSP
connection (RFC 2326, 10.12) or over UDP, whichever the client asks for. It notes every
request line and Transport header, so that a test can see what a client really sent.

Not a server for anything else: no authentication but a fixed Basic one, no RTCP, no
seeking, pictures of at most 2040 x 2040 whose sides are multiples of 16.
"""

import base64
import contextlib
import socket
import struct
import threading
import time
from typing import BinaryIO, Final

import cv2
import numpy as np
from numpy.typing import NDArray

_CLOCK_HZ: Final = 90_000
_PAYLOAD_TYPE: Final = 26
_CHUNK_BYTES: Final = 1200
_SSRC: Final = 0x5EED


class RtspServer:
    """Plays `pictures` round and round at `fps`, to whoever asks.

    Args:
        pictures: (H, W, 3) uint8 BGR.
        credentials: `user:password` that must come as Basic authentication, or none.
        transports: of `tcp` and `udp`, those that SETUP accepts.
        stall_after: frames after which a session goes silent with its connection open.
    """

    def __init__(
        self,
        pictures: list[NDArray[np.uint8]],
        *,
        fps: float = 25.0,
        credentials: str = "",
        transports: tuple[str, ...] = ("tcp", "udp"),
        stall_after: int | None = None,
    ) -> None:
        self.requests: list[str] = []
        self.transports_asked: list[str] = []
        self._jpegs = [_RtpJpeg(picture) for picture in pictures]
        self._fps = fps
        self._basic = base64.b64encode(credentials.encode()).decode() if credentials else ""
        self._accepted = transports
        self._stall_after = stall_after
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._connections: list[socket.socket] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def url(self, userinfo: str = "", path: str = "/line") -> str:
        return f"rtsp://{userinfo + '@' if userinfo else ''}127.0.0.1:{self.port}{path}"

    def __enter__(self) -> "RtspServer":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        _close(self._listener)
        for connection in list(self._connections):
            _close(connection)
        for thread in list(self._threads):
            thread.join(5)

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        session = _Session(connection)
        try:
            with connection, connection.makefile("rb") as stream:
                while request := _read_request(stream):
                    if not self._answer(session, *request):
                        return
        except OSError:
            return
        finally:
            session.over.set()

    def _answer(self, session: "_Session", line: str, headers: dict[str, str]) -> bool:
        method, _, _ = line.split(" ", 2)
        self.requests.append(line)
        sequence = headers.get("cseq", "0")
        if self._basic and headers.get("authorization") != f"Basic {self._basic}":
            session.reply(sequence, "401 Unauthorized", 'WWW-Authenticate: Basic realm="line"')
        elif method == "OPTIONS":
            session.reply(sequence, "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            session.reply(sequence, "200 OK", "Content-Type: application/sdp", body=_sdp())
        elif method == "SETUP":
            self._set_up(session, sequence, headers.get("transport", ""))
        elif method == "PLAY":
            session.reply(sequence, "200 OK", "Session: 1", "Range: npt=now-")
            thread = threading.Thread(target=self._play, args=(session,), daemon=True)
            self._threads.append(thread)
            thread.start()
        else:
            session.reply(sequence, "200 OK", "Session: 1")
        return method != "TEARDOWN"

    def _set_up(self, session: "_Session", sequence: str, transport: str) -> None:
        self.transports_asked.append(transport)
        kind = "tcp" if "TCP" in transport else "udp"
        if kind not in self._accepted:
            session.reply(sequence, "461 Unsupported Transport")
            return
        if kind == "udp":
            ports = transport.partition("client_port=")[2].partition(";")[0]
            session.udp_port = int(ports.partition("-")[0])
            transport += f";server_port={session.udp.getsockname()[1]}-0"
        session.reply(sequence, "200 OK", f"Transport: {transport}", "Session: 1")

    def _play(self, session: "_Session") -> None:
        number = packet = 0
        started = time.monotonic()
        while not session.over.is_set() and not self._stop.is_set():
            if self._stall_after is not None and number >= self._stall_after:
                session.over.wait()
                return
            jpeg = self._jpegs[number % len(self._jpegs)]
            try:
                packet = session.send(jpeg, round(number * _CLOCK_HZ / self._fps), packet)
            except OSError:
                return
            number += 1
            session.over.wait(max(0.0, started + number / self._fps - time.monotonic()))


class _Session:
    """One client."""

    def __init__(self, connection: socket.socket) -> None:
        self.over = threading.Event()
        self.udp_port: int | None = None
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self._connection = connection
        self._writing = threading.Lock()

    def reply(self, sequence: str, status: str, *headers: str, body: bytes = b"") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {sequence}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with self._writing:
            self._connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def send(self, jpeg: "_RtpJpeg", timestamp: int, packet: int) -> int:
        """Send one frame; returns the number of the next packet."""
        for last, payload in jpeg.payloads():
            marker = 0x80 if last else 0
            rtp = struct.pack(
                ">BBHII", 0x80, _PAYLOAD_TYPE | marker, packet & 0xFFFF, timestamp, _SSRC
            )
            if self.udp_port is not None:
                self.udp.sendto(rtp + payload, ("127.0.0.1", self.udp_port))
            else:
                frame = struct.pack(">cBH", b"$", 0, len(rtp) + len(payload)) + rtp + payload
                with self._writing:
                    self._connection.sendall(frame)
            packet += 1
        return packet


class _RtpJpeg:
    """One picture, cut up as RFC 2435 wants it: tables in band, then the bare scan."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        encoded = cv2.imencode(".jpg", picture)[1].tobytes()
        self._size = (width // 8, height // 8)
        self._tables, self._scan = _take_apart(encoded)

    def payloads(self) -> list[tuple[bool, bytes]]:
        """(is the last one, bytes) of each packet."""
        found = []
        for offset in range(0, len(self._scan), _CHUNK_BYTES):
            # Type 1 is 4:2:0; Q 255 announces tables in the first packet.
            head = struct.pack(">I", offset) + bytes((1, 255, *self._size))
            if offset == 0:
                head += struct.pack(">BBH", 0, 0, len(self._tables)) + self._tables
            chunk = self._scan[offset : offset + _CHUNK_BYTES]
            found.append((offset + _CHUNK_BYTES >= len(self._scan), head + chunk))
        return found


def _take_apart(jpeg: bytes) -> tuple[bytes, bytes]:
    """The quantisation tables and the entropy-coded scan of a baseline JPEG."""
    tables, at = b"", 2
    while True:
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xDB:
            segment = jpeg[at + 4 : at + 2 + size]
            for start in range(0, len(segment), 65):
                tables += segment[start + 1 : start + 65]
        at += 2 + size
        if marker == 0xDA:
            return tables, jpeg[at:-2]


def _sdp() -> bytes:
    return (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=line\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}\r\na=control:track1\r\n"
    ).encode()


def _read_request(stream: BinaryIO) -> tuple[str, dict[str, str]] | None:
    """Request line and headers; None at the end of the connection."""
    line = stream.readline()
    while line[:1] == b"$":  # RTCP reports of the client, interleaved with its requests
        whole = line + stream.read(max(0, 4 - len(line)))
        rest = whole[4:] + stream.read(int.from_bytes(whole[2:4], "big") - len(whole) + 4)
        line = stream.readline() if rest is not None else b""
    if not line:
        return None
    headers = {}
    while header := stream.readline().strip():
        name, _, value = header.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    return line.decode().strip(), headers


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
