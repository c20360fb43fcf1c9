"""The workload API over its unix socket, asked by plain HTTP."""

import base64
import http.client
import json
import socket
from contextlib import suppress
from typing import Any

import pytest

from devhub import DevHub
from devhub.sas import sign

QUERY = "?api-version=2020-07-07"


class Connection(http.client.HTTPConnection):
    """HTTP over the hub's workload socket."""

    def __init__(self, hub: DevHub) -> None:
        super().__init__("workload", timeout=10)
        self._path = hub.environment()["IOTEDGE_WORKLOADURI"].removeprefix("unix://")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self._path)

    def ask(self, method: str, url: str, body: str | None = None) -> tuple[int, Any]:
        """One exchange; the connection stays open for the next."""
        self.request(method, url, body)
        response = self.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture
def sign_url(devhub: DevHub) -> str:
    generation = devhub.environment()["IOTEDGE_MODULEGENERATIONID"]
    return f"/modules/visionedge/genid/{generation}/sign{QUERY}"


def _request(text: str, **changes: object) -> str:
    data = base64.b64encode(text.encode()).decode()
    return json.dumps({"keyId": "primary", "algo": "HMACSHA256", "data": data, **changes})


def test_one_connection_serves_several_requests(devhub: DevHub, sign_url: str) -> None:
    connection = Connection(devhub)
    status, bundle = connection.ask("GET", f"/trust-bundle{QUERY}")
    assert (status, bundle["certificate"]) == (200, devhub.ca_file.read_text())
    status, signed = connection.ask("POST", sign_url, _request("a text"))
    key = base64.b64decode(
        devhub.development_environment()["EdgeHubConnectionString"].partition("AccessKey=")[2]
    )
    assert (status, base64.b64decode(signed["digest"])) == (200, sign(key, "a text"))
    connection.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("[]", 400),
        ("{", 400),
        (_request("x", algo="MD5"), 400),
        (_request("x", data="%%%"), 400),
        (_request("x", data=7), 400),
        (_request("x", data="/w=="), 400),
    ],
)
def test_a_bad_signing_request_is_refused(
    devhub: DevHub, sign_url: str, body: str, status: int
) -> None:
    connection = Connection(devhub)
    assert connection.ask("POST", sign_url, body)[0] == status
    assert connection.ask("GET", f"/trust-bundle{QUERY}")[0] == 200
    connection.close()


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/trust-bundle", 400),
        ("GET", f"/nothing{QUERY}", 404),
        ("POST", f"/trust-bundle{QUERY}", 404),
        ("POST", f"/modules/other/genid/1/sign{QUERY}", 404),
        ("POST", f"/modules/visionedge/genid/1/sign{QUERY}", 404),
    ],
)
def test_an_unknown_request_is_refused(devhub: DevHub, method: str, url: str, status: int) -> None:
    connection = Connection(devhub)
    assert connection.ask(method, url)[0] == status
    connection.close()


@pytest.mark.parametrize(
    "rude",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
        b"x" * 100_000,
    ],
)
def test_what_is_no_http_harms_no_one(devhub: DevHub, rude: bytes) -> None:
    connection = Connection(devhub)
    connection.connect()
    answer = b""
    # It may hang up before all is sent; what is on the way then is answered by a reset.
    with suppress(ConnectionResetError, BrokenPipeError):
        connection.sock.sendall(rude)
        connection.sock.shutdown(socket.SHUT_WR)
        answer = connection.sock.recv(100)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    connection.close()
    other = Connection(devhub)
    assert other.ask("GET", f"/trust-bundle{QUERY}")[0] == 200
    other.close()
