"""A file from an address onto the disk, resumable, within limits of size, room and time.

A factory's line is slow and drops. So what has arrived stays in `TARGET.part`, and the next
attempt asks for the rest only (RFC 9110, Range). Whether the parts belong together is not
asked of the server: the SHA-256 over the whole says it. Where it does not fit the part is thrown
away; and only what came in one piece is refused for it, since the file may have been another one
when it was begun.

Every wait has a deadline: a socket's in `_SOCKET_S`, the attempt's in `timeout_s`, also where head
or body come byte by byte. Redirects
are followed within http and https only. Nothing of an address but its host is ever told,
since a SAS address is a password.
"""

import hashlib
import http.client
import io
import os
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

from visionedge.errors import ModelRefused, ModelUnavailable
from visionedge.runtime.in_time import InTime

_SOCKET_S: Final = 30.0
_CHUNK_BYTES: Final = 256 * 1024
_SPARE_BYTES: Final = 64 * 1024**2
"""Left free on the disk, for the spool."""
_UNPACKED: Final = 2
"""A zip is unpacked beside itself."""
_BUSY: Final = frozenset((408, 425, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be fetched.

    Attributes:
        uri: with its secrets in it.
        sha256: hex, of the whole file.
        size_bytes: of the whole file; 0 where it is not known.
        max_bytes: more is refused.
        timeout_s: of one attempt.
    """

    uri: str
    sha256: str
    size_bytes: int
    max_bytes: int
    timeout_s: float


def fetch(wanted: Wanted, target: Path, stop: threading.Event) -> None:
    """Bring a file to `target`, whole and checked, or not at all.

    Raises:
        ModelUnavailable: not now; what has arrived is kept, but on a full disk; try again later.
        ModelRefused: never, as it is: too large, another hash, no such file.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _check_room(wanted, part)
        deadline_s = time.monotonic() + wanted.timeout_s

        def left_s() -> float:
            return 0.0 if stop.is_set() else min(_SOCKET_S, deadline_s - time.monotonic())

        is_resumed = part.exists() and part.stat().st_size > 0
        _copy(wanted, part, left_s)
        _check_hash(wanted, part, is_resumed)
        part.replace(target)
        _sync(target.parent)
    except _NoRoom:
        # What has arrived would keep from the spool what it could not have itself.
        part.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise ModelUnavailable(f"cannot write {target.name}: {error.strerror or error}") from None


def _check_room(wanted: Wanted, part: Path) -> None:
    if wanted.size_bytes > wanted.max_bytes:
        raise _too_large(wanted)
    here = part.stat().st_size if part.exists() else 0
    _need(max(0, wanted.size_bytes - here) + wanted.size_bytes * (_UNPACKED - 1), part.parent)


class _NoRoom(ModelUnavailable):
    """The disk is too full for what comes."""


def _need(needed_bytes: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + _SPARE_BYTES:
        needed = f"{(needed_bytes + _SPARE_BYTES) >> 20} MiB are needed"
        raise _NoRoom(
            f"{free >> 20} MiB are free, and {needed}", hint="make room on the volume of the spool"
        )


def _copy(wanted: Wanted, part: Path, left_s: Callable[[], float]) -> None:
    parts = urlsplit(wanted.uri)
    if parts.scheme in ("", "file"):
        with _opened(Path(unquote(parts.path))) as stream, part.open("wb") as file:
            _pour(wanted, stream, file, left_s)
        return
    try:
        _from_web(wanted, part, left_s)
    except urllib.error.HTTPError as error:
        error.close()
        what = f"{parts.hostname} answered {error.code}"
        if error.code in _BUSY:
            raise ModelUnavailable(what) from None
        raise ModelRefused(what, hint="check `uri`, and that its SAS has not expired") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        if left_s() <= 0:
            raise _later(part) from None
        reason = error.reason if isinstance(error, urllib.error.URLError) else type(error).__name__
        raise ModelUnavailable(f"{parts.hostname} cannot be read: {reason}") from None


def _opened(source: Path) -> io.BufferedReader:
    try:
        if source.exists() and not source.is_file():
            raise ModelRefused(f"{source} is no file", hint="name an .onnx file or a zip in `uri`")
        return source.open("rb")
    except FileNotFoundError:
        raise ModelRefused(f"there is no file {source}", hint="mend `uri`") from None
    except OSError as error:
        raise ModelUnavailable(
            f"{source} cannot be read: {error.strerror}",
            hint="let the module's user read it, and all folders on the way",
        ) from None


def _from_web(wanted: Wanted, part: Path, left_s: Callable[[], float]) -> None:
    here = part.stat().st_size if part.exists() else 0
    if here and here == wanted.size_bytes:
        return
    request = urllib.request.Request(wanted.uri)  # noqa: S310 - the scheme is one of two
    if here:
        request.add_header("Range", f"bytes={here}-")
    try:
        answer = _opener(left_s).open(request, timeout=max(0.001, left_s()))
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not here:
            raise
        error.close()
        # All of it is here already, or the file has changed: the hash will tell.
        return
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        expected = answer.headers.get("Content-Length")
        with part.open("ab" if resumed else "wb") as file:
            # The twin may not know the size, and then the server is the first to tell.
            _need(int(expected or 0), part.parent)
            _pour(wanted, answer, file, left_s)
        arrived = part.stat().st_size - (here if resumed else 0)
    if expected is not None and arrived < int(expected):
        raise ModelUnavailable(f"{urlsplit(wanted.uri).hostname} ended after {arrived} bytes")


def _opener(left_s: Callable[[], float]) -> urllib.request.OpenerDirector:
    """Web only: the default one would open ftp: and data: as well. Answers come within `left_s`."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Web(left_s),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Web(urllib.request.AbstractHTTPHandler):
    """http: and https:, whose answers come in time, head and body."""

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, left_s: Callable[[], float]) -> None:
        super().__init__()
        self._left_s = left_s

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._open(req, http.client.HTTPConnection)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._open(req, http.client.HTTPSConnection)

    def _open(
        self, req: urllib.request.Request, kind: type[http.client.HTTPConnection]
    ) -> http.client.HTTPResponse:
        left_s = self._left_s

        class Response(http.client.HTTPResponse):
            def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401
                super().__init__(sock, *args, **options)
                self.fp.close()
                self.fp = io.BufferedReader(InTime(sock, left_s))

        def connection(host: str, **options: Any) -> http.client.HTTPConnection:  # noqa: ANN401
            made = kind(host, **options)
            made.response_class = Response
            return made

        return self.do_open(connection, req)


def _pour(
    wanted: Wanted,
    stream: io.BufferedReader | http.client.HTTPResponse,
    file: BinaryIO,
    left_s: Callable[[], float],
) -> None:
    size_bytes = file.tell()
    # What has come, and not a whole chunk: a server that drips must not outlast the deadline.
    while chunk := stream.read1(_CHUNK_BYTES):
        size_bytes += len(chunk)
        if size_bytes > (wanted.size_bytes or wanted.max_bytes):
            raise _too_large(wanted)
        _need(len(chunk), Path(file.name).parent)
        file.write(chunk)
        if left_s() <= 0:
            file.flush()
            raise _later(Path(file.name))
    file.flush()
    os.fsync(file.fileno())


def _later(part: Path) -> ModelUnavailable:
    arrived_bytes = part.stat().st_size if part.exists() else 0
    return ModelUnavailable(f"{arrived_bytes} bytes have arrived, the rest comes later")


def _check_hash(wanted: Wanted, part: Path, is_resumed: bool) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted.sha256:
        part.unlink()
        if is_resumed:
            raise ModelUnavailable("its parts are not of one file: it is fetched anew")
        raise ModelRefused(
            f"what was fetched has sha256 {found}, not {wanted.sha256}",
            hint="mend `sha256`, or put the right file at `uri`",
        )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _too_large(wanted: Wanted) -> ModelRefused:
    limit = min(wanted.size_bytes or wanted.max_bytes, wanted.max_bytes)
    return ModelRefused(
        f"it has more than {limit} bytes", hint="mend `size_bytes`, or raise delivery.max_bytes"
    )
