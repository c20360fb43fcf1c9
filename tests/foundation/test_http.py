"""The server of /metrics and /healthz, asked over a real socket."""

import contextlib
import http.client
import logging
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from visionedge.errors import SettingsError
from visionedge.metrics import CONTENT_TYPE, Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.http import HttpServer, Response

DEADLINE_S = 10


@pytest.fixture
def server() -> Iterator[HttpServer]:
    metrics = Metrics({"edge_device": "line"})

    def broken() -> Response:
        raise KeyError("a bug in a route")

    server = HttpServer(
        "127.0.0.1",
        0,
        {
            "/metrics": lambda: Response(metrics.page(), CONTENT_TYPE),
            "/healthz": lambda: Response(b"camera lost\n", status=503),
            "/broken": broken,
            "/large": lambda: Response(b"x" * 50_000_000),
        },
    )
    server.start()
    yield server
    server.stop(DEADLINE_S)


def get(
    server: HttpServer, path: str, method: str = "GET"
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_S)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_metrics_are_served_as_plain_text(server: HttpServer) -> None:
    response, body = get(server, "/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == CONTENT_TYPE
    assert b"visionedge_frames_captured_total" in body


def test_a_route_says_its_own_status(server: HttpServer) -> None:
    response, body = get(server, "/healthz?verbose=1")
    assert (response.status, body) == (503, b"camera lost\n")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../etc/passwd", "/healthz%2f"])
def test_any_other_path_is_not_found(server: HttpServer, path: str) -> None:
    assert get(server, path)[0].status == 404


def test_only_get_is_answered(server: HttpServer) -> None:
    assert get(server, "/metrics", method="POST")[0].status == 501


def test_the_answer_tells_nothing_of_the_machine(server: HttpServer) -> None:
    assert get(server, "/metrics")[0].headers["Server"].strip() == "visionedge"


def test_a_route_that_fails_is_logged_and_the_next_request_served(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(http.client.RemoteDisconnected):
        get(server, "/broken")
    assert get(server, "/healthz")[0].status == 503
    assert "a bug in a route" in caplog.text


def connect(server: HttpServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S)


def test_clients_that_send_nothing_or_little_hold_nobody_up(server: HttpServer) -> None:
    with contextlib.ExitStack() as clients:
        for number in range(70):
            client = clients.enter_context(connect(server))
            if number % 2:
                client.sendall(b"GET /healthz HT")
        # One after the other they would hold it up for minutes.
        assert get(server, "/healthz")[0].status == 503


def test_a_client_that_sends_nothing_is_cut_off(server: HttpServer) -> None:
    with connect(server) as silent:
        assert silent.recv(1) == b""


def test_a_request_may_come_in_parts(server: HttpServer) -> None:
    with connect(server) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n")
        assert get(server, "/healthz")[0].status == 503
        client.sendall(b"Accept: */*\r\n\r\n")
        assert b" 503 " in client.recv(100)


def test_a_client_is_not_late_by_the_time_that_others_are_answered() -> None:
    clock, begun, go_on = FakeClock(), threading.Event(), threading.Event()

    def slow() -> Response:
        begun.set()
        go_on.wait(DEADLINE_S)
        return Response(b"slow\n")

    healthy = Response(b"ok\n")
    server = HttpServer("127.0.0.1", 0, {"/slow": slow, "/healthz": lambda: healthy}, clock)
    server.start()
    with connect(server) as whole, connect(server) as halved, connect(server) as asking:
        halved.sendall(b"GET /healthz HTTP/1.0\r\n")
        asking.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        assert begun.wait(DEADLINE_S)
        whole.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        clock.advance(60)
        go_on.set()
        assert b" 200 " in asking.recv(100)
        assert b" 200 " in whole.recv(100)
        halved.sendall(b"\r\n")
        assert b" 200 " in halved.recv(100)
    server.stop(DEADLINE_S)


def test_a_client_that_goes_away_is_no_line_in_the_log(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    now = struct.pack("ii", 1, 0)
    with caplog.at_level(logging.INFO):
        for asked in (b"", b"GET", b"GET /large HTTP/1.0\r\n\r\n"):
            with connect(server) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                client.sendall(asked)
        assert get(server, "/healthz")[0].status == 503
    assert not caplog.messages


def test_a_client_that_drips_is_cut_off(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as dripping:
        dripping.sendall(b"GET /healthz HTTP/1.0\r\n")
        cut = False
        for _ in range(5 * DEADLINE_S):
            try:
                dripping.sendall(b"A")
                cut = dripping.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                cut = True
            if cut:
                break
        assert cut
    assert get(server, "/healthz")[0].status == 503


def test_rubbish_is_answered_or_dropped_and_the_next_request_served(server: HttpServer) -> None:
    for rubbish in (b"\x16\x03\x01\x02\x00\x01", b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n"):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S)
        # The server may have cut the connection before we have.
        with client, contextlib.suppress(OSError):
            client.sendall(rubbish)
            client.shutdown(socket.SHUT_WR)
    assert get(server, "/healthz")[0].status == 503


def test_a_port_in_use_is_refused_by_its_setting(server: HttpServer) -> None:
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{server.port}") as caught:
        HttpServer("127.0.0.1", server.port, {})
    assert "http.port" in caught.value.fields


@pytest.mark.parametrize("host", ["203.0.113.7", "::1"])
def test_an_address_of_another_machine_is_refused_by_its_setting(host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        HttpServer(host, 0, {})
    assert "http.host" in caught.value.fields


def test_the_port_is_free_again_after_a_stop() -> None:
    first = HttpServer("127.0.0.1", 0, {})
    first.start()
    first.stop(DEADLINE_S)
    second = HttpServer("127.0.0.1", first.port, {})
    second.stop(DEADLINE_S)
