"""One HTTP call to a service, and what its answer means for whoever made it.

The only home of urllib3. Its own retries and redirects are off: `asking.py` holds the one retry
loop, and a key must not follow a redirect to another host. The table of failures is one, because
what a status means does not hang on the vendor:

| status | error |
| --- | --- |
| 400, 413, 415, 422 | BackendRefused: this picture |
| 400 for a feature that is not offered | BackendMisconfigured: any picture |
| 3xx, 401, 403, 404, 410 | BackendMisconfigured |
| 408, 429, 5xx, no connection, no answer in time | BackendBusy |

A throttled call and a connection that was never made cost nothing; all else may. Measured on
recorded sessions: the header `CSP-Billing-Usage` is there on a 400 too.

Keys go into headers by a callable, so that no object that is printed or logged holds one.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3

from verifier.errors import BackendBusy, BackendMisconfigured, BackendRefused, SettingsRefused
from verifier.in_time import pool, read_within

Credential = Callable[[], Mapping[str, str]]
"""Gives the headers that prove who we are."""

_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_CONNECT_S: Final = 5.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NOT_OFFERED: Final = re.compile(r"NotSupportedVisualFeature|not supported in this region", re.I)
_QUOTA: Final = re.compile(rb"QuotaExceeded|403002|Out of call volume quota", re.I)
_HOST: Final = re.compile(r"[\w-]+(\.[\w-]+)+(:\d{1,5})?\Z", re.ASCII)
_UNITS: Final = re.compile(r"=(\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON gave
        """The body.

        Raises:
            BackendBusy: it is no JSON; gateways answer with pages when they are overrun.
        """
        try:
            # Half of a surrogate pair is no text: neither the ledger nor a verdict takes it.
            text = json.dumps(json.loads(self.body), ensure_ascii=False)
            return json.loads(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise BackendBusy("the answer is no JSON") from None

    @property
    def units(self) -> int:
        """Transactions that the service charged; 1 where it does not say."""
        found = _UNITS.findall(self.headers.get("csp-billing-usage", ""))
        return sum(map(int, found)) if found else 1


@dataclass(slots=True, eq=False)
class Service:
    """One service at one address. Safe for many threads.

    Args:
        endpoint: Such as `https://name.cognitiveservices.azure.com`; plain HTTP on loopback only.
        credential: Headers for each call.
    """

    endpoint: str
    credential: Credential = field(repr=False)
    _pool: urllib3.PoolManager = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.endpoint = checked_endpoint(self.endpoint)
        self._pool = pool(maxsize=16)

    def post(
        self,
        path: str,
        body: bytes,
        *,
        query: Mapping[str, str],
        content_type: str,
        timeout_s: float,
    ) -> Answer:
        """POST to a path of the service; see `call`."""
        url = (
            f"{self.endpoint}{path}?{urlencode(query, safe=',:/')}"
            if query
            else (f"{self.endpoint}{path}")
        )
        return self.call("POST", url, timeout_s, body=body, content_type=content_type)

    def call(
        self,
        method: str,
        url: str,
        timeout_s: float,
        *,
        body: bytes = b"",
        content_type: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Call once.

        Raises:
            BackendBusy: see the table above, as for the others.
            BackendRefused: this picture.
            BackendMisconfigured: any picture, or the address is not this service's.
        """
        if _origin(url) != _origin(self.endpoint):
            raise BackendMisconfigured(f"the service sent us to {urlsplit(url).netloc}")
        told = {"Accept": "application/json", **headers, **self.credential()}
        if content_type:
            told["Content-Type"] = content_type
        answer = self._request(method, url, timeout_s, body or None, told)
        if answer.status // 100 != 2:
            raise_for(answer)
        return answer

    def _request(
        self, method: str, url: str, timeout_s: float, body: bytes | None, headers: dict[str, str]
    ) -> Answer:
        timeout = urllib3.Timeout(connect=min(_CONNECT_S, timeout_s), total=timeout_s)
        host = urlsplit(url).netloc
        until_s = time.monotonic() + timeout_s
        try:
            reply = self._pool.request(
                method, url, body=body, headers=headers, timeout=timeout, redirect=False,
                preload_content=False,
            )  # fmt: skip
            try:
                content = _content(reply, until_s, host)
            finally:
                reply.release_conn()
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
            raise BackendBusy(f"no connection to {host}", billed=False) from None
        except urllib3.exceptions.HTTPError as error:
            raise BackendBusy(f"{host}: {type(error).__name__}") from None
        return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, content)


def _content(reply: urllib3.BaseHTTPResponse, until_s: float, host: str) -> bytes:
    """The body, if it comes whole and in time: urllib3's timeout is one of each read only."""
    content = bytearray()
    while (left_s := until_s - time.monotonic()) > 0 and len(content) <= _MAX_ANSWER_BYTES:
        read_within(left_s)
        if not (chunk := reply.read1(_CHUNK_BYTES)):
            return bytes(content)
        content += chunk
    reply.close()
    raise BackendBusy(f"{host} answers without an end")


def raise_for(answer: Answer) -> None:
    """Raise what a status other than 2xx means."""
    status, said = answer.status, _said(answer.body)
    message = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status in (408, 429) or status >= 500:
        raise BackendBusy(
            message, retry_after_s=retry_after_s(answer.headers), billed=status != 429
        )
    if status == 403 and _QUOTA.search(answer.body):
        raise BackendBusy(message, retry_after_s=retry_after_s(answer.headers), billed=False)
    if status == 400 and _NOT_OFFERED.search(answer.body.decode("utf-8", "replace")):
        raise BackendMisconfigured(message, hint="change `want`, or the region")
    if status < 400 or status in (401, 403, 404, 410):
        raise BackendMisconfigured(message, hint="check endpoint, key or role, and model name")
    raise BackendRefused(message)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """What the service asks us to wait, in seconds, from any of the ways to say so."""
    milliseconds = headers.get("retry-after-ms") or headers.get("x-ms-retry-after-ms")
    if milliseconds and milliseconds.strip().isdecimal():
        return int(milliseconds.strip()[:12]) / 1000
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Read an answer; one that is not as documented is a fault of the service, not of ours.

    Raises:
        BackendBusy: a field is missing or of another type.
    """
    try:
        yield
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        ArithmeticError,
    ) as error:
        raise BackendBusy(f"{name} answers nonsense: {type(error).__name__} {error}") from None


@contextmanager
def paid_before(paid: bool) -> Iterator[None]:
    """One call of several: a failure that costs nothing itself does not undo those before it.

    Args:
        paid: a call before it was charged.
    """
    try:
        yield
    except (BackendBusy, BackendMisconfigured) as error:
        error.billed = error.billed or paid
        raise


def checked_endpoint(endpoint: str) -> str:
    """The address without a trailing slash.

    Raises:
        SettingsRefused: it is no HTTPS address, and a key would travel in the clear; or it holds
            what is secret itself.
    """
    if fault := endpoint_fault(endpoint):
        raise SettingsRefused(f"endpoint: {fault}")
    return endpoint.rstrip("/")


def endpoint_fault(endpoint: str) -> str:
    """Why no key may go to an address; empty where it may."""
    if any(mark in endpoint for mark in "@?#"):
        # It is not repeated, because what stands there may be a password.
        return "give the address without a user, a password or a query; a key goes into key_env"
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError:
        return f"{endpoint!r} is no address"
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or loopback):
        return f"{endpoint!r} is no https:// address"
    if any(map(str.isspace, endpoint)):
        return f"{endpoint!r} has a blank in it"
    return ""


def is_host(name: str) -> bool:
    """True for a name with a dot in it, and a port at most: no scheme, no path, no blank."""
    return bool(_HOST.match(name))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Where a key goes: a name has no case, a port may be left out, and plain HTTP is another."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}[parts.scheme]
    except (ValueError, KeyError):
        return "", None, None


def _said(body: bytes) -> str:
    """The code and message of an error body, shortened; never the body itself."""
    try:
        error = json.loads(body)
        error = error.get("error", error)
        inner = error.get("innererror") or {}
        said = [error.get("code"), inner.get("code"), error.get("message")]
    except (ValueError, AttributeError, RecursionError):
        return ""
    return ": ".join(str(part)[:200] for part in said if part)
