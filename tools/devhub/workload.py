"""The workload API of the IoT Edge daemon, as far as the device SDK uses it.

A module asks two things of the daemon over a unix socket: the certificates to trust, and a
signature over a text with its own key, which it never sees. The server speaks just enough
HTTP/1.1 for that.

Source: workloadVersion_2020_07_07.yaml (azure/iotedge): `GET /trust-bundle` and
`POST /modules/{name}/genid/{genid}/sign`.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from devhub import sas
from devhub.events import Feed
from devhub.faults import FaultPanel, Faults
from devhub.identity import Identity
from devhub.twin import JsonObject, to_json

API_VERSION = "2020-07-07"
_MAX_BODY_BYTES = 65536


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class WorkloadApi:
    """Serves the trust bundle and signatures.

    Args:
        path: Where the socket is made; at most 107 bytes long.
        trust_bundle: Gives the PEM of the present authority.
        identities: The modules by client id; the hub adds to it.
    """

    def __init__(
        self,
        path: Path,
        trust_bundle: Callable[[], str],
        identities: Mapping[str, Identity],
        panel: FaultPanel,
        feed: Feed,
    ) -> None:
        self._path = path
        self._trust_bundle = trust_bundle
        self._identities = identities
        self._panel = panel
        self._feed = feed
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._moves: asyncio.Task[None] | None = None
        panel.watch(self._faults_changed)

    async def open(self) -> None:
        """Makes the socket."""
        self._server = await asyncio.start_unix_server(self._connected, self._path)

    async def close(self) -> None:
        """Removes the socket and ends every request."""
        if self._server:
            self._server.close()
        self._path.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Returns when a change of the faults has been carried out."""
        if self._moves:
            await self._moves

    def _faults_changed(self, before: Faults, after: Faults) -> None:
        if before.workload_gone != after.workload_gone:
            move = self.close() if after.workload_gone else self.open()
            self._moves = asyncio.get_running_loop().create_task(move)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # The client went, or does not speak HTTP; there is no one to tell.
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; False when the connection should close."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *header_lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in header_lines)
        }
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
            return False
        body = await reader.readexactly(int(length))
        if self._panel.now.workload_hung:
            self._feed.emit("workload", "", f"hung: {request_line}")
            await self._panel.until(lambda faults: not faults.workload_hung)
        status, answer = self._judge(request_line, body)
        raw = to_json(answer)
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            "content-type: application/json",
            f"content-length: {len(raw)}",
        )
        writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + raw)
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    def _judge(self, request_line: str, body: bytes) -> tuple[HTTPStatus, JsonObject]:
        try:
            method, target, _version = request_line.split(" ")
            if self._panel.take("workload_error"):
                raise _Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "fault")
            answer = self._answer(method, target, body)
        except ValueError:
            status, answer = HTTPStatus.BAD_REQUEST, {"message": "not a request of this API"}
        except _Refused as refusal:
            status, answer = refusal.status, {"message": str(refusal)}
        else:
            status = HTTPStatus.OK
        self._feed.emit("workload", "", f"{status.value} {request_line}")
        return status, answer

    def _answer(self, method: str, target: str, body: bytes) -> JsonObject:
        url = urlsplit(target)
        if "api-version" not in parse_qs(url.query):
            raise _Refused(HTTPStatus.BAD_REQUEST, "api-version is missing")
        match method, [unquote(part) for part in url.path.strip("/").split("/")]:
            case "GET", ["trust-bundle"]:
                return {"certificate": self._trust_bundle()}
            case "POST", ["modules", module_id, "genid", generation_id, "sign"]:
                return self._sign(module_id, generation_id, body)
        raise _Refused(HTTPStatus.NOT_FOUND, f"{method} {url.path} is not served")

    def _sign(self, module_id: str, generation_id: str, body: bytes) -> JsonObject:
        for identity in self._identities.values():
            if (identity.module_id, identity.generation_id) == (module_id, generation_id):
                break
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, f"no module {module_id} of that generation")
        request = json.loads(body)
        if not isinstance(request, dict) or request.get("algo") != "HMACSHA256":
            raise _Refused(HTTPStatus.BAD_REQUEST, "algo must be HMACSHA256")
        try:
            text = base64.b64decode(request.get("data", ""), validate=True).decode("utf-8")
        except (TypeError, binascii.Error, UnicodeDecodeError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "data must be base64 of a text") from error
        return {"digest": base64.b64encode(sas.sign(identity.key, text)).decode("ascii")}
