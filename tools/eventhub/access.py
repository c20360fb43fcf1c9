"""Who may do what: shared access signatures as the SDK puts them to `$cbs`.

A client names an audience and shows a token for it. It may then open links at that audience and
below it, on this connection, until the token ends. Entra ID's tokens are refused: nobody on
loopback signs them.

Source: OASIS, "AMQP Claims-based Security 1.0"; Microsoft Learn, "Authenticate access to Event
Hubs resources using shared access signatures".
"""

import hmac
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from devhub.sas import SasRefused, parse, sign

SAS_TYPE: Final = "servicebus.windows.net:sastoken"


@dataclass(frozen=True, slots=True)
class Policy:
    """A shared access policy, which may listen."""

    name: str
    key: str = field(repr=False)


@dataclass(slots=True)
class Claims:
    """What one connection was given.

    Args:
        policy: Whose tokens are believed.
    """

    policy: Policy
    _until: dict[str, float] = field(default_factory=dict)

    def put(self, token: str, kind: str, audience: str, now: float) -> None:
        """Believe a token for an audience.

        Raises:
            SasRefused: It is for something else, too old, or signed by another key.
        """
        if kind != SAS_TYPE:
            raise SasRefused(f"no token of type {kind!r} is taken here")
        shown = parse(token.encode("utf-8"))
        if not _covers(shown.resource, audience):
            raise SasRefused(f"the token is for {shown.resource!r}, not for {audience!r}")
        wanted = sign(self.policy.key.encode("utf-8"), shown.signed_text)
        if not hmac.compare_digest(wanted, shown.signature):
            raise SasRefused("the token is signed with another key")
        if shown.expires_at <= now:
            raise SasRefused("the token has expired")
        self._until[_path(audience)] = float(shown.expires_at)

    def may_use(self, address: str, now: float) -> bool:
        """True if a token covers this address of a link."""
        path = _path(address)
        return any(until > now and _is_below(path, top) for top, until in self._until.items())


def _covers(resource: str, audience: str) -> bool:
    host, wanted = urlsplit(resource).hostname, urlsplit(audience).hostname
    return host == wanted and _is_below(_path(audience), _path(resource))


def _path(address: str) -> str:
    """The path of an address, with or without a scheme; case does not count."""
    path = urlsplit(address).path if "://" in address else address
    return path.strip("/").casefold()


def _is_below(path: str, top: str) -> bool:
    return not top or path == top or path.startswith(f"{top}/")
