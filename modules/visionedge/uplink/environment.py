"""Which hub a module is for, as its settings and the environment of its process say.

Only words are looked at: nothing is opened, and neither the SDK nor any client is imported. So
a start that can never reach its hub ends before it opens a camera or loads a model.

Not promised: that the hub is there, or knows the identity; that is for the first connection.
"""

from collections.abc import Mapping
from typing import Final, Literal

from visionedge.errors import SettingsError
from visionedge.settings import UplinkSettings
from visionedge.uplink import connection_string
from visionedge.uplink.connection_string import ConnectionString

EDGE_VARIABLES: Final = (
    "IOTEDGE_IOTHUBHOSTNAME",
    "IOTEDGE_GATEWAYHOSTNAME",
    "IOTEDGE_DEVICEID",
    "IOTEDGE_MODULEID",
    "IOTEDGE_MODULEGENERATIONID",
    "IOTEDGE_WORKLOADURI",
    "IOTEDGE_APIVERSION",
)
"""What edgeAgent sets for a module, and the SDK reads."""
_WORKLOAD: Final = "IOTEDGE_WORKLOADURI"
_WORKLOAD_SCHEMES: Final = ("unix://", "http://", "https://")
DEVELOPMENT_VARIABLES: Final = ("EdgeHubConnectionString", "EdgeModuleCACertificateFile")
"""What the SDK falls back to, for running a module beside an edgeHub instead of under it."""


def resolved(
    settings: UplinkSettings, environment: Mapping[str, str]
) -> tuple[Literal["azure", "local"], ConnectionString | None]:
    """Which hub it is, and by which connection string, where there is one.

    Args:
        settings: `auto` is `azure` where any of its environment is there, else `local`.
        environment: of the process. A connection string in it wins, because somebody wrote it
            by hand; the rest is only looked at, the SDK reads it again by itself.

    Raises:
        SettingsError: `azure` is asked for and its environment is incomplete or malformed.
    """
    kind = settings.kind
    connection = None if kind == "local" else connection_string.from_environment(environment)
    faults = [] if connection or kind == "local" else _faults(environment)
    if kind == "auto":
        # A module that lacks one variable is a broken deployment, not a local run.
        anything = any(name in environment for name in EDGE_VARIABLES + DEVELOPMENT_VARIABLES)
        kind = "azure" if anything or connection else "local"
    if kind == "azure" and faults:
        raise SettingsError(
            f"uplink.kind is azure, and {faults[0]}",
            fields={"uplink.kind": faults[0]},
            hint=f"run it under IoT Edge, set {connection_string.VARIABLE}, or "
            "EdgeHubConnectionString and EdgeModuleCACertificateFile, or set uplink.kind to local",
        )
    return kind, connection


def _faults(environment: Mapping[str, str]) -> list[str]:
    """Why the SDK cannot use what it will take, empty where it can.

    It takes IoT Edge's variables where all are there, empty or not, and the others else.

    Raises:
        SettingsError: the connection string that it will take cannot be used.
    """
    if missing := [name for name in EDGE_VARIABLES if name not in environment]:
        if all(name in environment for name in DEVELOPMENT_VARIABLES):
            connection_string.check(environment[DEVELOPMENT_VARIABLES[0]], DEVELOPMENT_VARIABLES[0])
            return []
        return [f"the environment lacks {', '.join(missing)}"]
    if empty := [name for name in EDGE_VARIABLES if not environment[name].strip()]:
        return [f"{', '.join(empty)} of the environment is empty"]
    if not environment[_WORKLOAD].startswith(_WORKLOAD_SCHEMES):
        return [f"{_WORKLOAD} begins with none of {', '.join(_WORKLOAD_SCHEMES)}"]
    return []
