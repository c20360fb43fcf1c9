"""Tell a module to stop asking while its budget is spent: `escalation.pausedUntil` in its twin.

Without that it goes on sending pictures that are only answered `unverified`, and pays for the way
up. The pause has an end of its own, the next day (UTC), when the budget begins anew: so a worker
that dies leaves no module silent for good. Where the budget returns earlier, because somebody
raised it, the pause is lifted at the next look; one that has ended is taken out of the twin.

What was written is remembered in the store, so each change is one patch, whatever the number of
workers and of messages that meet the empty budget. A hub that does not take the patch is asked
again with the next such message. Settings are the operator's: only this one property is touched.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Protocol

from verifier.budget import Budget
from verifier.clock import Clock
from verifier.errors import ReplyDeferred, ReplyError, StoreConflict
from verifier.stores.store import Store, part

log: Final = logging.getLogger(__name__)
_PREFIX: Final = "paused/"


class Twins(Protocol):
    """Changes the desired properties of modules."""

    def patch(self, device_id: str, module_id: str, desired: Mapping[str, Any]) -> None:
        """Merge `desired` into the twin, whatever its version is.

        Raises:
            ReplyDeferred: not now.
            ReplyRefused: there is no such module, or it may not be changed.
            ReplyForbidden: the hub refuses us.
        """


@dataclass(frozen=True, slots=True)
class BackPressure:
    """Pauses modules, and lets them go on. Safe for threads and workers."""

    store: Store
    budget: Budget
    twins: Twins
    clock: Clock

    def pause(self, device_id: str, module_id: str, units: int = 1) -> None:
        """A message of this module met an empty budget."""
        until = _tomorrow(self.clock.utc())
        key = _key(device_id, module_id)
        said = {"device": device_id, "module": module_id, "until": _text(until), "units": units}
        value = json.dumps(said)
        stored = self.store.read(key)
        if stored and stored.value == value.encode():
            return
        try:
            if stored:
                version = self.store.replace(key, value.encode(), stored.version)
            else:
                version = self.store.create(key, value.encode())
        except StoreConflict:
            return  # Another thread or worker is at it.
        try:
            self.twins.patch(device_id, module_id, _desired(_text(until)))
        except ReplyError as error:
            log.error("%s/%s is not paused: %s", device_id, module_id, error)
            self._forget(key, version)
        else:
            log.warning("%s/%s is paused until %s: no budget", device_id, module_id, _text(until))

    def lift(self) -> None:
        """Let those go on whose budget has returned. To be called now and then."""
        for key in list(self.store.keys(_PREFIX)):
            stored = self.store.read(key)
            if stored is None:
                continue
            said = json.loads(stored.value)
            left = (self.budget.left(), self.budget.left(said["device"]))
            if any(each is not None and each < said.get("units", 1) for each in left):
                continue
            try:
                self.twins.patch(said["device"], said["module"], _desired(None))
            except ReplyDeferred as error:
                log.info("%s goes on a little later: %s", key, error)
                continue
            except ReplyError as error:
                # The pause ends by itself, so nothing is lost by giving it up.
                log.warning("%s cannot be lifted: %s", key, error)
            self._forget(key, stored.version)

    def _forget(self, key: str, version: str) -> None:
        stored = self.store.read(key)
        if stored and stored.version == version:
            self.store.delete(key)


def _desired(until: str | None) -> dict[str, Any]:
    """Null takes a property out of a twin."""
    return {"escalation": {"pausedUntil": until}}


def _tomorrow(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _key(device_id: str, module_id: str) -> str:
    return f"{_PREFIX}{part(device_id)}/{part(module_id)}"
