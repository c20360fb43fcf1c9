"""Hand frames from cameras to workers: the newest frame wins, and cameras take turns.

One slot a camera. A camera that is faster than the workers replaces its own waiting
frame, so that what is processed is never older than it must be, and memory stays at one
frame a camera however far behind the workers are.

Turns are fair by what was served, not by who asks most: each camera has a clock that moves on
by one over its weight when a frame of it is taken, and the waiting camera whose clock is
farthest behind is next (start-time fair queueing; Goyal, Vin, Cheng, SIGCOMM 1996). So a fast
camera cannot starve a slow one, a weight of 2 gets twice the turns of 1 when there are not
enough for all, and a camera that was silent does not save up turns meanwhile.

Consumers take no turns: of those that wait the one of the lowest rank gets the item. So a line
that keeps one worker busy always meets the same one, and the others need no memory of their own.
It is given the item, and not only woken for it: where a busy device wakes it some milliseconds
late, the next frame goes to another worker and replaces none.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class _Hand(Generic[T]):
    """One consumer that waits, and what it was given meanwhile."""

    def __init__(self, lock: threading.Lock) -> None:
        self.given = threading.Condition(lock)
        self.item: T | None = None


class LatestSlots(Generic[T]):
    """One slot a key. Safe for any number of producers and consumers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        # Consumers that wait, by rank and thread; while there are any, no item waits.
        self._idle: dict[tuple[int, int], _Hand[T]] = {}
        # Ordered by when a key's slot became full: replacing keeps the place in the queue.
        self._waiting: OrderedDict[str, T] = OrderedDict()
        self._weights: Mapping[str, float] = {}
        self._served: dict[str, float] = {}
        self._now = 0.0
        self._closed = False

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Give keys their weights, above 0; one that is not named has 1. Others are forgotten."""
        with self._lock:
            self._weights = dict(weights)
            # What still waits has its turn, also where its camera is on the way out.
            kept = weights.keys() | self._waiting.keys()
            self._served = {key: at for key, at in self._served.items() if key in kept}

    def put(self, key: str, item: T) -> T | None:
        """Offer `item`; the item it replaces is returned, to be counted as dropped."""
        with self._lock:
            if self._closed:
                return item
            if key not in self._waiting:
                # It begins where the others are: what it did not use while silent is gone.
                self._served[key] = max(self._served.get(key, 0.0), self._now)
            if self._idle:
                # No longer idle from here on, so that the next item goes to another one.
                hand = self._idle.pop(min(self._idle))
                hand.item = item
                hand.given.notify()
                self._count_turn(key)
                return None
            replaced = self._waiting.get(key)
            self._waiting[key] = item
            return replaced

    def take(self, timeout_s: float, rank: int = 0) -> T | None:
        """The item of the key whose turn it is, or None when nothing came in time.

        Args:
            timeout_s: how long to wait for one.
            rank: of the consumer; the lowest that waits is woken.
        """
        with self._lock:
            if not self._waiting:
                return None if self._closed else self._wait(timeout_s, rank)
            # Of those that are equally far behind, `min` takes the one that waits longest.
            key = min(self._waiting, key=self._served.__getitem__)
            self._count_turn(key)
            self._freed.notify_all()
            return self._waiting.pop(key)

    def discard(self, key: str) -> T | None:
        """Take away what waits for `key`, for a camera that is removed."""
        with self._lock:
            self._freed.notify_all()
            return self._waiting.pop(key, None)

    def is_waiting(self, key: str) -> bool:
        """True while an item of `key` has not been taken."""
        with self._lock:
            return key in self._waiting

    def wait_free(self, key: str, timeout_s: float) -> bool:
        """True once nothing of `key` waits: for a producer whose items must not be replaced."""
        with self._lock:
            return self._freed.wait_for(lambda: key not in self._waiting or self._closed, timeout_s)

    def close(self) -> None:
        """Take no more items and wake all consumers; what waits can still be taken."""
        with self._lock:
            self._closed = True
            for hand in self._idle.values():
                hand.given.notify()
            self._freed.notify_all()

    def _wait(self, timeout_s: float, rank: int) -> T | None:
        """Wait until an item is given, or nothing will come; the lock is held."""
        me, hand = (rank, threading.get_ident()), _Hand[T](self._lock)
        self._idle[me] = hand
        hand.given.wait_for(lambda: hand.item is not None or self._closed, timeout_s)
        if self._idle.get(me) is hand:
            del self._idle[me]
        return hand.item

    def _count_turn(self, key: str) -> None:
        self._now = self._served[key]
        self._served[key] += 1 / self._weights.get(key, 1.0)
