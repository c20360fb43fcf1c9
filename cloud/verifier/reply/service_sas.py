"""A shared access signature for IoT Hub's service API, from a policy's key.

For sites without Entra ID; else a managed identity with the role IoT Hub Data Contributor is
better, because there is no key to lose. The policy needs `ServiceConnect` and nothing more.

Source: Microsoft Learn, "Control access to IoT Hub with shared access signatures".
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, quote_plus

from verifier.clock import Clock
from verifier.errors import SettingsRefused
from verifier.http import Credential, is_host

_LIFE_S: Final = 3600


def signature(host: str, policy: str, key: str, expires_at_s: int) -> str:
    """The token: HMAC-SHA256 with the key over the resource and its expiry."""
    resource = quote_plus(host)
    signed = f"{resource}\n{expires_at_s}".encode()
    digest = hmac.digest(base64.b64decode(key), signed, hashlib.sha256)
    rest = f"sig={quote(base64.b64encode(digest))}&se={expires_at_s}&skn={quote(policy)}"
    return f"SharedAccessSignature sr={resource}&{rest}"


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """Host, policy and key of an IoT Hub's service connection string."""

    host: str
    policy: str
    key: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "ConnectionString":
        """Read one.

        Raises:
            SettingsRefused: a part is missing or wrong; the text itself is not told.
        """
        parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        try:
            found = cls(parts["HostName"], parts["SharedAccessKeyName"], parts["SharedAccessKey"])
            base64.b64decode(found.key, validate=True)
        except KeyError as error:
            raise SettingsRefused(f"hub connection string: no {error.args[0]}") from None
        except ValueError:
            raise SettingsRefused("hub connection string: the key is no base64") from None
        if not is_host(found.host):
            raise SettingsRefused("hub connection string: HostName is no name of a host")
        return found


def signed_by(string: ConnectionString, clock: Clock) -> Credential:
    """A credential that signs anew for each call; that is a few microseconds."""

    def headers() -> Mapping[str, str]:
        expires_at_s = int(clock.utc().timestamp()) + _LIFE_S
        return {"Authorization": signature(string.host, string.policy, string.key, expires_at_s)}

    return headers
