"""Which hub: every kind of uplink by its name in the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visionedge.errors import SettingsError
from visionedge.metrics import Metrics
from visionedge.settings import UplinkSettings
from visionedge.uplink import azure_hub, local_hub
from visionedge.uplink.connection_string import ConnectionString
from visionedge.uplink.environment import resolved
from visionedge.uplink.hub import HubClient
from visionedge.uplink.supervisor import Patience


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
        settings: of the link.
        environment: of the process.
        metrics: of the link.
        on_stuck: told, with the reason, when only a restart of the process can help.

    Raises:
        SettingsError: as `resolved` says.
    """
    kind, connection = resolved(settings, environment)
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
    kind, _ = resolved(settings, environment)
    now, _ = resolved(in_use, environment)
    if kind == "local" and now == "azure":
        reason = "no hub could undo it: the module would not connect any more"
        raise SettingsError(
            f"uplink.kind: {reason}",
            fields={"uplink.kind": reason},
            hint="set VISIONEDGE__UPLINK__KIND in the module's createOptions",
        )
