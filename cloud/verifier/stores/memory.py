"""A store that ends with its process: for tests, and for a device that asks by itself."""

import threading
from collections.abc import Iterator

from verifier.errors import StoreConflict
from verifier.stores.store import Stored


class MemoryStore:
    """Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Stored] = {}
        self._writes = 0

    def read(self, key: str) -> Stored | None:
        """The entry, or None."""
        with self._lock:
            return self._entries.get(key)

    def create(self, key: str, value: bytes) -> str:
        """Write a new entry and return its version."""
        with self._lock:
            if key in self._entries:
                raise StoreConflict(f"{key} exists already")
            return self._write(key, value)

    def replace(self, key: str, value: bytes, version: str) -> str:
        """Write over the entry that has this version and return the new one."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.version != version:
                raise StoreConflict(f"{key} was changed by somebody else")
            return self._write(key, value)

    def delete(self, key: str) -> None:
        """Remove the entry; one that is not there is no error."""
        with self._lock:
            self._entries.pop(key, None)

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, in order."""
        with self._lock:
            found = sorted(key for key in self._entries if key.startswith(prefix))
        yield from found

    def _write(self, key: str, value: bytes) -> str:
        self._writes += 1
        self._entries[key] = Stored(value, str(self._writes))
        return str(self._writes)
