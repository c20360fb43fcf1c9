"""What the worker counts, on `/metrics`; and `/healthz` for whoever restarts it.

One registry an object, none for the process, so that two workers in one test do not meet. Labels
are few and closed: an API, a region, a kind of end; never a device, of which there may be many.
"""

import errno
import socket
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from verifier.breaker import Breaker, BreakerState
from verifier.build import Built
from verifier.errors import SettingsRefused
from verifier.observer import Observer
from verifier.opinion import Backend

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_CALL_S: Final = (0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20)
_STATES: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Metrics(Observer):
    """Counts what the core tells. Safe for many threads."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=False)
        self._handled = Counter(
            "verifier_messages", "messages by their end", ["kind", "reason"], registry=registry
        )
        self._calls = Histogram(
            "verifier_call_seconds",
            "calls of a Vision API by how they ended",
            ["backend", "region", "ended"],
            buckets=_CALL_S,
            registry=registry,
        )
        self._charged = Counter(
            "verifier_transactions",
            "units that Vision APIs charged",
            ["backend", "region"],
            registry=registry,
        )
        self._agreed = Counter(
            "verifier_agreement", "verdicts by agreement", ["word"], registry=registry
        )
        self._settled = Counter(
            "verifier_verdicts", "verdicts by their end", ["state"], registry=registry
        )
        self._deferred = Counter(
            "verifier_deliveries_deferred", "deliveries to be tried again", registry=registry
        )

    def watch(self, built: Built) -> None:
        """Show what is known only when asked: breakers, and verdicts that wait."""
        waiting = Gauge(
            "verifier_verdicts_waiting", "verdicts that wait for delivery", registry=self._registry
        )
        waiting.set_function(lambda: built.courier.waiting)
        breakers = Gauge(
            "verifier_breaker",
            "0 closed, 1 may be probed, 2 open",
            ["backend", "region"],
            registry=self._registry,
        )
        for asking in built.askings:
            for backend, breaker in zip(asking.regions, asking.breakers, strict=True):
                series = breakers.labels(backend.name, backend.region)
                series.set_function(partial(_state, breaker))

    def page(self) -> bytes:
        """The page in Prometheus' text format."""
        return generate_latest(self._registry)

    def handled(self, kind: str, reason: str) -> None:
        """A message came to an end, or was put off."""
        self._handled.labels(kind, reason).inc()

    def called(self, backend: Backend, ended: str, seconds: float) -> None:
        """A Vision API was called once."""
        self._calls.labels(backend.name, backend.region, ended).observe(seconds)

    def charged(self, backend: Backend, units: int) -> None:
        """It charged for the call."""
        self._charged.labels(backend.name, backend.region).inc(units)

    def agreed(self, word: str) -> None:
        """A verdict agreed with the module, or not."""
        self._agreed.labels(word).inc()

    def settled(self, state: str, count: int) -> None:
        """Verdicts reached their end."""
        self._settled.labels(state).inc(count)

    def deferred(self, count: int) -> None:
        """Verdicts could not be delivered now."""
        self._deferred.inc(count)


def _state(breaker: Breaker) -> float:
    return _STATES[breaker.state]


def _listening(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer((host, port), handler)
    except (socket.gaierror, UnicodeError):
        raise SettingsRefused(f"worker.http_host: there is no host {host!r}") from None
    except OSError as error:
        field = "http_host" if error.errno == errno.EADDRNOTAVAIL else "http_port"
        why = error.strerror or type(error).__name__
        raise SettingsRefused(
            f"worker.{field}: cannot listen at {host}:{port}: {why}", hint="give another"
        ) from None


class Pages:
    """Serves `/metrics` and `/healthz` from `start` to `stop`.

    Raises:
        SettingsRefused: it cannot listen there.
    """

    def __init__(
        self, host: str, port: int, metrics: Metrics, is_healthy: Callable[[], bool]
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, metrics.page())
                elif self.path == "/healthz":
                    healthy = is_healthy()
                    self._answer(200 if healthy else 503, b"ok\n" if healthy else b"failing\n")
                else:
                    self._answer(404, b"there are /metrics and /healthz\n")

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Every scrape would be a line."""

        self._server = _listening(host, port, Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="pages", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it serves; useful where 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and let the port go."""
        if self._thread.ident is not None:
            self._server.shutdown()
        self._server.server_close()
