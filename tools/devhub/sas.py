"""Shared access signatures: what a module shows as its password.

The token names a resource (`sr`), an end (`se`) and an HMAC-SHA256 over exactly the text
`sr`, newline, `se` as sent: the resource is signed in its percent-encoded form, so it is decoded
only after the check.

Source: "Control access to IoT Hub with shared access signatures", Microsoft Learn.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import unquote

_PREFIX = "SharedAccessSignature "


class SasRefused(Exception):
    """The token is not good; the message says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class SasToken:
    """A parsed token, not yet believed."""

    resource: str
    expires_at: int
    signed_text: str
    signature: bytes = field(repr=False)


def sign(key: bytes, text: str) -> bytes:
    """HMAC-SHA256 of the text."""
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).digest()


def parse(password: bytes | None) -> SasToken:
    """Reads a token out of a CONNECT's password.

    Raises:
        SasRefused: It is absent or has not the form of a token.
    """
    try:
        text = (password or b"").decode("ascii")
        pairs = (pair.partition("=") for pair in text.removeprefix(_PREFIX).split("&"))
        parts = {name: value for name, _, value in pairs}
        return SasToken(
            resource=unquote(parts["sr"]),
            expires_at=int(parts["se"]),
            signed_text=f"{parts['sr']}\n{parts['se']}",
            signature=base64.b64decode(unquote(parts["sig"]), validate=True),
        )
    except (KeyError, ValueError) as error:
        raise SasRefused("the password is no SharedAccessSignature") from error


def verify(token: SasToken, key: bytes, resource: str, now: float) -> None:
    """Believes a token, or says why not.

    Args:
        token: From `parse`.
        key: The identity's key.
        resource: `<iot hub>/devices/<device>/modules/<module>`, not encoded.
        now: Seconds since the epoch.

    Raises:
        SasRefused: Wrong resource, wrong key or expired.
    """
    if token.resource != resource:
        raise SasRefused(f"the token is for {token.resource!r}, not for {resource!r}")
    if not hmac.compare_digest(token.signature, sign(key, token.signed_text)):
        raise SasRefused("the token is signed with another key")
    if token.expires_at <= now:
        raise SasRefused(f"the token expired {now - token.expires_at:.0f} s ago")
