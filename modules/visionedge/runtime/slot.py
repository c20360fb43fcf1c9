"""Hand frames from cameras to workers: the newest frame wins, and cameras take turns.

One slot a camera. A camera that is faster than the workers replaces its own waiting
frame, so that what is processed is never older than it must be, and memory stays at one
frame a camera however far behind the workers are.

Turns are fair by what was served, not by who asks most: each camera has a clock that moves on
by one over its weight when a frame of it is taken, and the waiting camera whose clock is
farthest behind is next (start-time fair queueing; Goyal, Vin, Cheng, SIGCOMM 1996). So a fast
camera cannot starve a slow one, a weight of 2 gets twice the turns of 1 when there are not
enough for all, and a camera that was silent does not save up turns meanwhile.

A frame of 1080p takes 6 MB and a millisecond from the moment it is converted, so with many
cameras it is converted when somebody is about to take it. A camera that can hold one back asks for
its turn first (`ask`). Where fewer items are on their way than there is room for it has it at once,
else as soon as one is taken, and those that are farthest behind come first. When it can wait no
longer there is room for one more, so that no worker finds nothing because cameras were modest; and
where that is used up as well, an item gives way whose camera is ahead. One that had to go keeps
its clock, for one turn at most, so that no camera loses because it always comes a little later.

Consumers take no turns: of those that wait the one of the lowest rank gets the item. So a line
that keeps one worker busy always meets the same one, and the others need no memory of their own.
It is given the item, and not only woken for it: where a busy device wakes it some milliseconds
late, the next frame goes to another worker and replaces none.

What this does not promise: that producers which do not ask are held to the room.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class _Hand(Generic[T]):
    """One thread that waits, and what it was given meanwhile."""

    def __init__(self, lock: threading.Lock) -> None:
        self.given = threading.Condition(lock)
        self.item: T | None = None


@dataclass(frozen=True, slots=True)
class Turn(Generic[T]):
    """Whether a producer has its turn, and the item that had to go for it."""

    granted: bool
    instead_of: T | None = None


class LatestSlots(Generic[T]):
    """One slot a key. Safe for any number of producers and consumers.

    Args:
        room: items that may wait or be on their way, where producers ask; beside one for each
            consumer that waits.
    """

    def __init__(self, room: int = 2) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        # Consumers that wait, by rank and thread; while there are any, no item waits.
        self._idle: dict[tuple[int, int], _Hand[T]] = {}
        # Ordered by when a key's slot became full: replacing keeps the place in the queue.
        self._waiting: OrderedDict[str, T] = OrderedDict()
        self._asking: dict[str, _Hand[bool]] = {}
        # Keys that have their turn and whose item has not come yet.
        self._coming: set[str] = set()
        # Keys whose waiting item may give way: those that asked. Others were promised theirs.
        self._loose: set[str] = set()
        self._refused: set[str] = set()
        self._weights: Mapping[str, float] = {}
        self._served: dict[str, float] = {}
        self._now = 0.0
        self._closed = False

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Give keys their weights, above 0; one that is not named has 1. Others are forgotten."""
        with self._lock:
            self._weights = dict(weights)
            # What still waits has its turn, also where its camera is on the way out.
            kept = weights.keys() | self._waiting.keys() | self._asking.keys() | self._coming
            self._served = {key: at for key, at in self._served.items() if key in kept}
            self._refused &= kept

    def make_room(self, room: int) -> None:
        """Let so many items wait where producers ask.

        One less than there are consumers is enough: they are seldom done at the same moment.
        """
        with self._lock:
            self._room = room
            self._grant()

    def ask(self, key: str, timeout_s: float) -> Turn[T]:
        """Wait for the turn of `key`: then `put` its item, or `pass_on` the turn.

        Args:
            key: whose producer asks; one at a time.
            timeout_s: how long the item can be held back.
        """
        with self._lock:
            if self._closed:
                return Turn(granted=False)
            if key in self._waiting:
                # It replaces its own, which takes no room.
                self._coming.add(key)
                return Turn(granted=True)
            self._begin(key)
            asked = self._asking[key] = _Hand[bool](self._lock)
            self._grant()
            asked.given.wait_for(lambda: asked.item or self._closed, timeout_s)
            self._asking.pop(key, None)
            return Turn(granted=True) if asked.item else self._last_chance(key)

    def pass_on(self, key: str) -> None:
        """Give a turn back, because no item will come of it."""
        with self._lock:
            self._coming.discard(key)
            self._grant()

    def put(self, key: str, item: T) -> T | None:
        """Offer `item`; the item it replaces is returned, to be counted as dropped."""
        with self._lock:
            asked = key in self._coming
            self._coming.discard(key)
            if self._closed:
                return item
            if key not in self._waiting and not asked:
                self._begin(key)
            if self._idle:
                # No longer idle from here on, so that the next item goes to another one.
                hand = self._idle.pop(min(self._idle))
                hand.item = item
                hand.given.notify()
                self._count_turn(key)
                return None
            replaced = self._waiting.get(key)
            self._waiting[key] = item
            if asked:
                self._loose.add(key)
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
            return self._remove(key)

    def discard(self, key: str) -> T | None:
        """Take away what waits for `key`, for a camera that is removed."""
        with self._lock:
            self._coming.discard(key)
            return self._remove(key)

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
            for asker in self._asking.values():
                asker.given.notify()
            self._freed.notify_all()

    def _wait(self, timeout_s: float, rank: int) -> T | None:
        """Wait until an item is given, or nothing will come; the lock is held."""
        me, hand = (rank, threading.get_ident()), _Hand[T](self._lock)
        self._idle[me] = hand
        self._grant()
        hand.given.wait_for(lambda: hand.item is not None or self._closed, timeout_s)
        if self._idle.get(me) is hand:
            del self._idle[me]
        return hand.item

    def _begin(self, key: str) -> None:
        """Set its clock: where the others are, so what it did not use while silent is gone."""
        served = self._served.get(key, 0.0)
        if served >= self._now:
            self._refused.discard(key)
        credit = 1 / self._weights.get(key, 1.0) if key in self._refused else 0.0
        self._served[key] = max(served, self._now - credit)

    def _grant(self) -> None:
        """Give turns to those that are farthest behind, while there is room."""
        while self._asking and self._has_room(self._room):
            key = min(self._asking, key=self._served.__getitem__)
            hand = self._asking.pop(key)
            hand.item = True
            hand.given.notify()
            self._coming.add(key)

    def _has_room(self, room: int) -> bool:
        return len(self._coming | self._waiting.keys()) < room + len(self._idle)

    def _last_chance(self, key: str) -> Turn[T]:
        """The turn of a key that can wait no longer, if it has one."""
        if self._closed:
            return Turn(granted=False)
        gone = None
        if not self._has_room(self._room + 1):
            ahead = [
                each for each in self._waiting if each in self._loose and self._behind(key, each)
            ]
            if not ahead:
                self._refused.add(key)
                return Turn(granted=False)
            most = max(ahead, key=self._served.__getitem__)
            gone = self._waiting.pop(most)
            self._loose.remove(most)
            self._refused.add(most)
        self._coming.add(key)
        return Turn(granted=True, instead_of=gone)

    def _behind(self, key: str, other: str) -> bool:
        return self._served[key] < self._served[other]

    def _remove(self, key: str) -> T | None:
        self._freed.notify_all()
        self._loose.discard(key)
        item = self._waiting.pop(key, None)
        self._grant()
        return item

    def _count_turn(self, key: str) -> None:
        self._now = max(self._now, self._served[key])
        self._served[key] += 1 / self._weights.get(key, 1.0)
