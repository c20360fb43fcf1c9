"""A bounded queue that gives up its least valuable item when it is full.

Between the decision, which must never wait, and the snapshot, which takes about as long
as an inference. When doubt comes faster than it can be encoded, first come first served
would keep whatever came first; this keeps what is worth most.
"""

import heapq
import itertools
import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class ValueQueue(Generic[T]):
    """Most valuable first; equal values in order of arrival. Safe for many threads."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._capacity = capacity
        self._filled = threading.Condition()
        self._order = itertools.count()
        self._heap: list[tuple[float, int, T]] = []
        self._closed = False

    def __len__(self) -> int:
        with self._filled:
            return len(self._heap)

    def put(self, value: float, item: T) -> T | None:
        """Add `item` without waiting; whatever had to go for it is returned."""
        with self._filled:
            if self._closed:
                return item
            heapq.heappush(self._heap, (-value, next(self._order), item))
            self._filled.notify()
            if len(self._heap) <= self._capacity:
                return None
            least = max(self._heap)
            self._heap.remove(least)
            heapq.heapify(self._heap)
            return least[2]

    def take(self, timeout_s: float) -> T | None:
        """The most valuable item, or None when nothing came in time."""
        with self._filled:
            self._filled.wait_for(lambda: bool(self._heap) or self._closed, timeout_s)
            return heapq.heappop(self._heap)[2] if self._heap else None

    def close(self) -> None:
        """Take no more items and wake all consumers; what waits can still be taken."""
        with self._filled:
            self._closed = True
            self._filled.notify_all()
