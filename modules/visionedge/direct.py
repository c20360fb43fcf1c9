"""Direct mode, opened from the settings: the one place where the module knows of the verifier.

The verifier is another package, of the cloud half, and most devices do not have it. So it is
imported by name, here, and only where the settings ask for it; where it is missing that is said
with what to install. It gets what it needs as plain values: a route as the verifier's settings
have it, a key that was just looked up, a file. Nothing of its own comes back but `OwnVerifier`.
"""

import importlib
import logging
from typing import Final

from visionedge.errors import SettingsError
from visionedge.metrics import Metrics
from visionedge.settings import Document, resolve, reveal
from visionedge.settings.direct import DirectSettings
from visionedge.uplink.direct_hub import DirectHub, OwnVerifier
from visionedge.uplink.egress import EgressLedger
from visionedge.uplink.hub import HubClient

log: Final = logging.getLogger(__name__)


def with_verifier(
    hub: HubClient,
    settings: DirectSettings,
    layers: list[Document],
    ledger: EgressLedger,
    metrics: Metrics,
) -> HubClient:
    """The hub, with direct mode around it where the settings ask for it.

    What the twin once asked for and was good may be good no more, after a change of the image or
    of its secrets. That must not keep the module from starting: what the other sources say holds.

    Raises:
        SettingsError: those ask for it, and it cannot be had.
    """
    try:
        return _around(hub, settings, ledger, metrics)
    except SettingsError as error:
        without = resolve(layers).direct
        if without == settings:
            raise
        log.error("direct mode as the twin has it cannot be used: %s", error)
        return _around(hub, without, ledger, metrics)


def check_direct(settings: DirectSettings) -> None:
    """See that direct mode could begin with these settings; nothing is asked.

    Raises:
        SettingsError: it could not; the field is named.
    """
    if settings.enabled:
        _open(settings, is_trial=True)


def _around(
    hub: HubClient, settings: DirectSettings, ledger: EgressLedger, metrics: Metrics
) -> HubClient:
    if not settings.enabled:
        return hub
    verifier = _open(settings)
    log.info("direct mode: escalations go to %s", verifier.destination)
    return DirectHub(hub, verifier, ledger, metrics)


def _open(settings: DirectSettings, *, is_trial: bool = False) -> OwnVerifier:
    try:
        direct = importlib.import_module("verifier.hosts.direct")
    except ImportError as error:
        raise _refused(
            "enabled",
            f"the verifier is not installed: no {error.name}",
            "install visionedge[cloud]",
        ) from None
    try:
        key = reveal(settings.key) if settings.key else ""
    except SettingsError as error:
        raise _refused("key", str(error)) from None
    path = "" if is_trial else settings.path
    try:
        opened: OwnVerifier = direct.open_direct(
            settings.route, key, calls_per_day=settings.calls_per_day, path=path
        )
    except ValueError as error:
        raise _refused("route", str(error)) from None
    except OSError as error:
        raise _refused("path", str(error)) from None
    return opened


def _refused(field: str, why: str, hint: str = "") -> SettingsError:
    path = f"direct.{field}"
    return SettingsError(f"{path}: {why}", fields={path: why}, hint=hint)
