"""A module identity by a connection string, for running without IoT Edge.

The portal shows one for each module identity. With it the module speaks to IoT Hub itself, or
to an edgeHub where the string names a gateway. It holds the identity's key, so it comes from
the environment alone, and no error repeats any of it.

Source: "IoT Hub connection strings", Microsoft Learn.
"""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from visionedge.errors import SettingsError

VARIABLE: Final = "IOTHUB_MODULE_CONNECTION_STRING"
CA_VARIABLE: Final = "EdgeModuleCACertificateFile"
"""Only needed where a gateway is named whose authority the system does not know."""
_PARTS: Final = ("HostName", "DeviceId", "ModuleId", "SharedAccessKey")
_MORE_PARTS: Final = ("GatewayHostName", "SharedAccessKeyName")
"""That there may be besides; the SDK takes no string with any other."""


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """One that has all its parts.

    Attributes:
        text: as it was given.
        ca_file: PEM of the authority to trust; None for those of the system.
    """

    text: str = field(repr=False)
    ca_file: Path | None = None

    def authority(self) -> str | None:
        """The PEM to trust, read anew each time, since it may be rotated.

        Raises:
            OSError: it cannot be read.
        """
        return self.ca_file.read_text(encoding="ascii") if self.ca_file else None


def from_environment(environment: Mapping[str, str]) -> ConnectionString | None:
    """The connection string in the environment, None where there is none.

    Raises:
        SettingsError: as `check` says.
    """
    text = environment.get(VARIABLE, "").strip().rstrip(";")
    if not text:
        return None
    check(text, VARIABLE)
    ca_file = environment.get(CA_VARIABLE)
    return ConnectionString(text, Path(ca_file) if ca_file else None)


def check(text: str, variable: str) -> None:
    """Raise where the SDK could never use a connection string: it would be tried for ever.

    Args:
        text: the connection string.
        variable: of the environment, where it stands.

    Raises:
        SettingsError: it lacks a part, has one that it cannot have, or its key cannot be one.
    """
    given = [part.partition("=")[::2] for part in text.split(";")]
    parts = dict(given)
    if missing := [name for name in _PARTS if not parts.get(name)]:
        raise _refused(
            f"{variable} lacks {', '.join(missing)}",
            "copy the connection string of the module identity, not that of the device",
        )
    known = {*_PARTS, *_MORE_PARTS}
    # Told by its number: its name may be a piece of the key.
    strange = [n for n, (name, value) in enumerate(given, 1) if name not in known or not value]
    if strange or len(parts) < len(given):
        what = f"part {strange[0]} is none of a module's" if strange else "a part is there twice"
        raise _refused(f"{variable} cannot be used: {what}", "copy the whole string again")
    try:
        b64decode(parts["SharedAccessKey"], validate=True)
    except ValueError:
        raise _refused(
            f"the SharedAccessKey of {variable} is no base64", "copy the whole string again"
        ) from None


def _refused(reason: str, hint: str) -> SettingsError:
    return SettingsError(reason, fields={"uplink.kind": reason}, hint=hint)
