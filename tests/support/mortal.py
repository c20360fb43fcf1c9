"""Workers that die at a chosen step, and workers that take turns in a chosen order.

A step is any effect on the world: a write, a call that is paid for, a delivery. A death is a
`BaseException`, as `kill -9` is to the code that it meets: nothing may catch it.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from verifier.stores.store import Store, Stored


class Killed(BaseException):
    """As `kill -9`: nothing in the worker may catch it."""


@dataclass(eq=False)
class Fate:
    """Kills the worker when the count of its steps is up; a step is any effect on the world."""

    steps_left: int

    def step(self) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            raise Killed


@dataclass(eq=False)
class MortalStore:
    """A store whose worker may die just before or just after a write."""

    store: Store
    fate: Fate

    def read(self, key: str) -> Stored | None:
        return self.store.read(key)

    def create(self, key: str, value: bytes) -> str:
        return self._mortal(lambda: self.store.create(key, value))

    def replace(self, key: str, value: bytes, version: str) -> str:
        return self._mortal(lambda: self.store.replace(key, value, version))

    def delete(self, key: str) -> None:
        self.fate.step()
        self.store.delete(key)
        self.fate.step()

    def keys(self, prefix: str) -> Iterator[str]:
        return self.store.keys(prefix)

    def _mortal(self, write: Callable[[], str]) -> str:
        self.fate.step()
        version = write()
        self.fate.step()
        return version


@dataclass(eq=False)
class Turns:
    """Lets one of several threads go on at a time, in a given order; then in any."""

    order: list[int]
    alive: set[int] = field(default_factory=set)
    _moved: threading.Condition = field(default_factory=threading.Condition)

    def take(self, worker: int) -> None:
        with self._moved:
            assert self._moved.wait_for(lambda: self._is_next(worker), 20)
            if self.order:
                self.order.pop(0)
            self._moved.notify_all()

    def leave(self, worker: int) -> None:
        with self._moved:
            self.alive.discard(worker)
            self._moved.notify_all()

    def _is_next(self, worker: int) -> bool:
        while self.order and self.order[0] not in self.alive:
            self.order.pop(0)
        return not self.order or self.order[0] == worker


@dataclass(eq=False)
class TakingTurns:
    """A store that asks for its worker's turn before each access."""

    store: Store
    turns: Turns
    worker: int

    def read(self, key: str) -> Stored | None:
        self.turns.take(self.worker)
        return self.store.read(key)

    def create(self, key: str, value: bytes) -> str:
        self.turns.take(self.worker)
        return self.store.create(key, value)

    def replace(self, key: str, value: bytes, version: str) -> str:
        self.turns.take(self.worker)
        return self.store.replace(key, value, version)

    def delete(self, key: str) -> None:
        self.turns.take(self.worker)
        self.store.delete(key)

    def keys(self, prefix: str) -> Iterator[str]:
        self.turns.take(self.worker)
        return self.store.keys(prefix)
