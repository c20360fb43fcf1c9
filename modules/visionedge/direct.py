"""Direct mode, opened from the settings: the one place where the module knows of the verifier.

The verifier is another package, of the cloud half, and most devices do not have it. So it is
imported by name, here, and only where the settings ask for it; where it is missing that is said
with what to install. It gets what it needs as plain values: a route as the verifier's settings
have it, a key that was just looked up, a file. Nothing of its own comes back but `OwnVerifier`.

A wrong setting ends the start. A full disk does not: the line goes on, and what is to be asked
waits until the verifier's file can be opened.
"""

import importlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.errors import SettingsError
from visionedge.metrics import Metrics
from visionedge.settings import Document, resolve, reveal
from visionedge.settings.direct import DirectSettings
from visionedge.uplink.direct_hub import DirectHub, OwnVerifier
from visionedge.uplink.egress import EgressLedger
from visionedge.uplink.hub import HubClient

log: Final = logging.getLogger(__name__)
_LEAST_FREE_BYTES: Final = 4 * 1024**2
"""With less free on its disk, a file that cannot be opened is no wrong setting."""
_AGAIN_S: Final = 10.0


def with_verifier(
    hub: HubClient,
    settings: DirectSettings,
    layers: list[Document],
    ledger: EgressLedger,
    metrics: Metrics,
) -> tuple[HubClient, DirectSettings]:
    """The hub, with direct mode around it where the settings ask for it; and those that act.

    What the twin once asked for and was good may be good no more, after a change of the image or
    of its secrets. That must not keep the module from starting: what the other sources say holds.

    Raises:
        SettingsError: those ask for it, and it cannot be had.
    """
    try:
        return _around(hub, settings, ledger, metrics), settings
    except SettingsError as error:
        without = resolve(layers).direct
        if without == settings:
            raise
        log.error("direct mode as the twin has it cannot be used: %s", error)
        return _around(hub, without, ledger, metrics), without


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
    verifier: OwnVerifier
    try:
        verifier = _open(settings)
    except SettingsError as error:
        if "direct.path" not in error.fields or not _is_full(Path(settings.path)):
            raise
        log.error("direct mode waits for room on the disk: %s", error)
        verifier = _OnceThereIsRoom(settings)
    log.info("direct mode: escalations go to %s", verifier.destination)
    return DirectHub(hub, verifier, ledger, metrics)


class _OnceThereIsRoom:
    """An `OwnVerifier` whose file could not be opened yet."""

    def __init__(self, settings: DirectSettings) -> None:
        self._settings = settings
        self._opened: OwnVerifier | None = None
        self._due_s = time.monotonic() + _AGAIN_S
        self._is_stopped = False
        self.destination = _open(settings, is_trial=True).destination

    def handle(self, body: bytes, leaves: Callable[[], None]) -> float:
        """As `OwnVerifier.handle`; so are those below."""
        verifier = self._verifier()
        return verifier.handle(body, leaves) if verifier else _AGAIN_S

    def deliver(self, apply: Callable[[Mapping[str, Any]], int]) -> None:
        """What an earlier process has left, too."""
        if verifier := self._verifier():
            verifier.deliver(apply)

    def stop(self) -> None:
        """End every pause."""
        self._is_stopped = True
        if self._opened:
            self._opened.stop()

    def close(self) -> None:
        """Let go of the file."""
        if self._opened:
            self._opened.close()

    def _verifier(self) -> OwnVerifier | None:
        if self._opened is None and not self._is_stopped and time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + _AGAIN_S
            try:
                self._opened = _open(self._settings)
            except SettingsError as error:
                log.debug("direct mode still waits: %s", error)
            else:
                log.info("direct mode: the verifier's file is open")
        return self._opened


def _is_full(path: Path) -> bool:
    folder = next(each for each in path.absolute().parents if each.is_dir())
    return shutil.disk_usage(folder).free < _LEAST_FREE_BYTES


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
