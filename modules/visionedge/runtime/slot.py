"""Hand frames from cameras to workers: the newest frame wins, and cameras take turns.

One slot a camera. A camera that is faster than the workers replaces its own waiting
frame, so that what is processed is never older than it must be, and memory stays at one
frame a camera however far behind the workers are. The camera that has waited longest is
served first, so one fast camera cannot starve the others.
"""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlots(Generic[T]):
    """One slot a key. Safe for any number of producers and consumers."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._freed = threading.Condition(lock)
        # Ordered by when a key's slot became full: replacing keeps the place in the queue.
        self._waiting: OrderedDict[str, T] = OrderedDict()
        self._closed = False

    def put(self, key: str, item: T) -> T | None:
        """Offer `item`; the item it replaces is returned, to be counted as dropped."""
        with self._filled:
            if self._closed:
                return item
            replaced = self._waiting.get(key)
            self._waiting[key] = item
            self._filled.notify()
            return replaced

    def take(self, timeout_s: float) -> T | None:
        """The item of the key that has waited longest, or None when nothing came in time."""
        with self._filled:
            if not self._waiting:
                self._filled.wait_for(lambda: bool(self._waiting) or self._closed, timeout_s)
            if not self._waiting:
                return None
            item = self._waiting.popitem(last=False)[1]
            self._freed.notify_all()
            return item

    def discard(self, key: str) -> T | None:
        """Take away what waits for `key`, for a camera that is removed."""
        with self._filled:
            self._freed.notify_all()
            return self._waiting.pop(key, None)

    def is_waiting(self, key: str) -> bool:
        """True while an item of `key` has not been taken."""
        with self._filled:
            return key in self._waiting

    def wait_free(self, key: str, timeout_s: float) -> bool:
        """True once nothing of `key` waits: for a producer whose items must not be replaced."""
        with self._filled:
            return self._freed.wait_for(lambda: key not in self._waiting or self._closed, timeout_s)

    def close(self) -> None:
        """Take no more items and wake all consumers; what waits can still be taken."""
        with self._filled:
            self._closed = True
            self._filled.notify_all()
            self._freed.notify_all()
