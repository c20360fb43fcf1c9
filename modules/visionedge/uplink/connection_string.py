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
        SettingsError: it lacks a part, or its key cannot be one.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    parts = dict(part.partition("=")[::2] for part in text.split(";"))
    if missing := [name for name in _PARTS if not parts.get(name)]:
        reason = f"{VARIABLE} lacks {', '.join(missing)}"
        raise SettingsError(
            reason,
            fields={"uplink.kind": reason},
            hint="copy the connection string of the module identity, not that of the device",
        )
    try:
        b64decode(parts["SharedAccessKey"], validate=True)
    except ValueError:
        reason = f"the SharedAccessKey of {VARIABLE} is no base64"
        raise SettingsError(
            reason, fields={"uplink.kind": reason}, hint="copy the whole string again"
        ) from None
    ca_file = environment.get(CA_VARIABLE)
    return ConnectionString(text, Path(ca_file) if ca_file else None)
