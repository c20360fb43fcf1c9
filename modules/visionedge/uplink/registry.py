"""Which hub: every kind of uplink by its name in the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from visionedge.errors import SettingsError
from visionedge.metrics import Metrics
from visionedge.settings import UplinkSettings
from visionedge.uplink import azure_hub, connection_string, local_hub
from visionedge.uplink.connection_string import ConnectionString
from visionedge.uplink.hub import HubClient
from visionedge.uplink.supervisor import Patience

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


@dataclass(frozen=True, slots=True)
class Needs:
    """What a hub client is made of."""

    settings: UplinkSettings
    metrics: Metrics
    on_stuck: Callable[[str], None]
    connection: ConnectionString | None = None


def _azure(needs: Needs) -> HubClient:
    return azure_hub.build(
        needs.metrics,
        deadlines=azure_hub.Deadlines(send_s=needs.settings.send_timeout_s),
        patience=Patience(
            most_pause_s=needs.settings.max_pause_s,
            max_failed_rebuilds=needs.settings.max_failed_rebuilds,
        ),
        on_stuck=needs.on_stuck,
        connection=needs.connection,
    )


def _local(needs: Needs) -> HubClient:
    return local_hub.LocalHub(Path(needs.settings.local_path), needs.metrics)


HUBS: Final[Mapping[str, Callable[[Needs], HubClient]]] = {"azure": _azure, "local": _local}


def choose(
    settings: UplinkSettings,
    environment: Mapping[str, str],
    metrics: Metrics,
    on_stuck: Callable[[str], None],
) -> HubClient:
    """The hub client that the settings ask for, not started.

    Args:
        settings: `auto` is `azure` where any of its environment is there, else `local`.
        environment: of the process. A connection string in it wins, because somebody wrote it
            by hand; the rest is only looked at, the SDK reads it again by itself.
        metrics: of the link.
        on_stuck: told, with the reason, when only a restart of the process can help.

    Raises:
        SettingsError: `azure` is asked for and its environment is incomplete.
    """
    kind, connection = _resolved(settings, environment)
    return HUBS[kind](Needs(settings, metrics, on_stuck, connection))


def check_next(
    settings: UplinkSettings, in_use: UplinkSettings, environment: Mapping[str, str]
) -> None:
    """See that a module which starts with these settings next can be reached again.

    Args:
        settings: as the twin has them.
        in_use: since the start.
        environment: of the process.

    Raises:
        SettingsError: it would not start, or would not come back to the hub that said so.
    """
    kind, _ = _resolved(settings, environment)
    now, _ = _resolved(in_use, environment)
    if kind == "local" and now == "azure":
        reason = "no hub could undo it: the module would not connect any more"
        raise SettingsError(
            f"uplink.kind: {reason}",
            fields={"uplink.kind": reason},
            hint="set VISIONEDGE__UPLINK__KIND in the module's createOptions",
        )


def _resolved(
    settings: UplinkSettings, environment: Mapping[str, str]
) -> tuple[Literal["azure", "local"], ConnectionString | None]:
    """Which hub it is, and by which connection string, where there is one.

    Raises:
        SettingsError: as `choose` says.
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
