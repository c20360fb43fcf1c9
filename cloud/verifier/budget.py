"""How much may be spent a day, for the hub as a whole and for each device.

A unit is one call of a Vision API. It is taken before the call and given back only where the
service is known not to have charged, so a crash can lose units but never overspend. The counts
live in the store and change by compare-and-swap: any number of workers share one budget.

Days are UTC; a unit goes back to the day that it was taken from, and not to the one on which its
call has ended. One device that doubts everything uses up its own budget and not the others'.
"""

import json

from verifier.clock import Clock
from verifier.errors import StoreConflict
from verifier.stores.store import Store, part


class Budget:
    """Takes units from the hub's day and the device's day. Safe for threads and workers.

    Args:
        per_hub: Units a day of all devices; None for no limit.
        per_device: Units a day of each device; None for no limit.
        prefix: Of the keys; one that counts something else in the same store has its own.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        per_hub: int | None,
        per_device: int | None,
        prefix: str = "budget/",
    ) -> None:
        self._prefix = prefix
        self._store = store
        self._clock = clock
        self._per_hub = per_hub
        self._per_device = per_device

    def take(self, device_id: str, units: int = 1) -> str:
        """Take units from both, or from neither.

        Returns:
            The day that they are of; empty when either has too few left.
        """
        day = self._day()
        if not self._add(self._device_key(day, device_id), units, self._per_device):
            return ""
        if self._add(self._hub_key(day), units, self._per_hub):
            return day
        self._add(self._device_key(day, device_id), -units, None)
        return ""

    def give_back(self, day: str, device_id: str, units: int = 1) -> None:
        """Return units of a day that were not charged."""
        self._add(self._hub_key(day), -units, None)
        self._add(self._device_key(day, device_id), -units, None)

    def forgive(self, day: str, device_id: str, units: int = 1) -> None:
        """Return units to the device alone: they were charged, but not for its sake."""
        self._add(self._device_key(day, device_id), -units, None)

    def left(self, device_id: str | None = None) -> int | None:
        """Units left today of the hub, or of a device; None for no limit."""
        limit = self._per_hub if device_id is None else self._per_device
        day = self._day()
        key = self._hub_key(day) if device_id is None else self._device_key(day, device_id)
        if limit is None:
            return None
        stored = self._store.read(key)
        return max(0, limit - (json.loads(stored.value) if stored else 0))

    def _add(self, key: str, units: int, limit: int | None) -> bool:
        while True:
            stored = self._store.read(key)
            used = max(0, (json.loads(stored.value) if stored else 0) + units)
            if limit is not None and used > limit:
                return False
            value = json.dumps(used).encode()
            try:
                if stored is None:
                    self._store.create(key, value)
                else:
                    self._store.replace(key, value, stored.version)
            except StoreConflict:
                continue
            return True

    def _day(self) -> str:
        return f"{self._clock.utc():%Y-%m-%d}"

    def _hub_key(self, day: str) -> str:
        return f"{self._prefix}{day}/hub"

    def _device_key(self, day: str, device_id: str) -> str:
        return f"{self._prefix}{day}/device/{part(device_id)}"
