"""Delivers verdicts until the module has them or they are of no more use.

A module may be away for days. Its verdicts wait in the ledger; here is only a list of them, made
anew from what is open after a restart, or when another worker died (`adopt`). Each module has its
own pause, growing from 5 seconds to 10 minutes, so one that is away holds up nobody else; a
module that sends its escalation again is evidently back, and its pause ends.

Verdicts to one module go in one call: IoT Hub meters direct methods by 4 KiB, and a verdict has
two. A call that the module refuses is split, so that one bad verdict does not keep the others.

`turn` and `adopt` are for one thread; `add` is for all.
"""

import logging
import random
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from verifier.clock import Clock
from verifier.errors import ReplyDeferred, ReplyRefused, StoreConflict
from verifier.ledger import Held, Ledger, State
from verifier.observer import Observer
from verifier.reply.port import Reply
from visionedge.wire import Verdict

log: Final = logging.getLogger(__name__)
MAX_BATCH: Final = 64
MAX_BATCH_BYTES: Final = 100 * 1024
"""A direct method takes 128 KiB."""
_FIRST_PAUSE_S: Final = 5.0
_MAX_PAUSE_S: Final = 600.0
_IDLE_S: Final = 30.0


@dataclass(slots=True, eq=False)
class _Module:
    """What waits for one module."""

    device_id: str
    module_id: str
    waiting: OrderedDict[str, Held] = field(default_factory=OrderedDict)
    pause_s: float = 0.0
    not_before_s: float = 0.0


@dataclass(slots=True, eq=False)
class Courier:
    """Delivers what the core has verified."""

    ledger: Ledger
    reply: Reply
    clock: Clock
    observer: Observer = field(default_factory=Observer)
    rng: random.Random = field(default_factory=random.Random)
    arrived: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _modules: dict[tuple[str, str], _Module] = field(default_factory=dict)

    def add(self, held: Held) -> None:
        """Take a verdict to deliver, now if its module was not away a moment ago."""
        self._put(held, ends_pause=True)
        self.arrived.set()

    def adopt(self) -> int:
        """Take over verdicts that nobody delivers, and end claims that came to nothing in time.

        Returns:
            How many verdicts were taken over.
        """
        count = 0
        for held in self.ledger.abandoned():
            try:
                if held.entry.state is State.VERIFIED:
                    self._put(self.ledger.lease(held), ends_pause=False)
                    count += 1
                else:
                    self.ledger.settle(held, State.EXPIRED, "unanswered")
                    self.observer.settled(State.EXPIRED, 1)
            except StoreConflict:
                continue
        return count

    @property
    def waiting(self) -> int:
        """Verdicts that are to be delivered."""
        with self._lock:
            return sum(len(module.waiting) for module in self._modules.values())

    def turn(self) -> float:
        """Try every module that is due once, and return the seconds until the next is.

        Raises:
            ReplyForbidden: the hub refuses us; every verdict is kept.
            StoreUnavailable: nothing is lost; call again later.
        """
        self.arrived.clear()
        for module in sorted(self._due(), key=lambda module: module.pause_s):
            self._serve(module)
            if module.pause_s and self.arrived.is_set():
                break  # Each that is away takes seconds; one that is there comes first.
        with self._lock:
            due = [m.not_before_s for m in self._modules.values() if m.waiting]
        return max(0.0, min(due) - self.clock.monotonic_s()) if due else _IDLE_S

    def _put(self, held: Held, *, ends_pause: bool) -> None:
        entry = held.entry
        key = (entry.device_id, entry.module_id)
        with self._lock:
            module = self._modules.setdefault(key, _Module(*key))
            again = entry.escalation_id in module.waiting
            module.waiting[entry.escalation_id] = held
            if again and ends_pause:
                module.pause_s = module.not_before_s = 0.0

    def _due(self) -> list[_Module]:
        now_s = self.clock.monotonic_s()
        with self._lock:
            idle = [key for key, module in self._modules.items() if not module.waiting]
            for key in idle:
                del self._modules[key]
            return [m for m in self._modules.values() if m.not_before_s <= now_s]

    def _serve(self, module: _Module) -> None:
        while batch := self._batch(module):
            alive = [held for held in batch if not self._is_late(held)]
            self._settle(module, [h for h in batch if h not in alive], State.EXPIRED, "away")
            if alive and not self._send(module, alive):
                return

    def _send(self, module: _Module, batch: list[Held]) -> bool:
        """False if the module is to be left alone for a while."""
        verdicts = [held.entry.verdict for held in batch if held.entry.verdict]
        try:
            self.reply.send(module.device_id, module.module_id, verdicts)
        except ReplyDeferred as error:
            self._defer(module, batch, error)
            return False
        except ReplyRefused as error:
            if len(batch) > 1:
                return all(self._send(module, [held]) for held in batch)
            log.error("%s/%s refuses: %s", module.device_id, module.module_id, error)
            self._settle(module, batch, State.POISON, "reply_refused")
            return True
        module.pause_s = 0.0
        self._settle(module, batch, State.DELIVERED, "")
        return True

    def _defer(self, module: _Module, batch: list[Held], error: ReplyDeferred) -> None:
        step_s = min(_MAX_PAUSE_S, module.pause_s * 2 or _FIRST_PAUSE_S)
        asked_s = min(_MAX_PAUSE_S, error.retry_after_s or 0.0)
        with self._lock:
            module.pause_s = step_s
            pause_s = max(asked_s, step_s * self.rng.uniform(0.5, 1.0))
            module.not_before_s = self.clock.monotonic_s() + pause_s
            waiting = list(module.waiting.values())
        for held in waiting:
            if not held.entry.state.is_terminal:
                self._renew(module, held, pause_s)
        self.observer.deferred(len(batch))
        log.info("%s/%s in %.0f s again: %s", module.device_id, module.module_id, pause_s, error)

    def _renew(self, module: _Module, held: Held, pause_s: float) -> None:
        try:
            self._replace(module, held, self.ledger.lease(held, pause_s))
        except StoreConflict:
            self._replace(module, held, None)

    def _settle(self, module: _Module, batch: list[Held], state: State, reason: str) -> None:
        for held in batch:
            try:
                # A copy that a module asked for changes nothing about how its escalation ended.
                if not held.entry.state.is_terminal:
                    self.ledger.settle(held, state, reason)
                    self.observer.settled(state, 1)
            except StoreConflict:
                # Another courier took it over; the module takes the second copy as such.
                log.info("escalation %s is in other hands", held.entry.escalation_id)
            self._replace(module, held, None)

    def _replace(self, module: _Module, old: Held, new: Held | None) -> None:
        id_ = old.entry.escalation_id
        with self._lock:
            if new is not None:
                module.waiting[id_] = new
            else:
                module.waiting.pop(id_, None)

    def _batch(self, module: _Module) -> list[Held]:
        batch: list[Held] = []
        size = 0
        with self._lock:
            for held in module.waiting.values():
                size += _size(held.entry.verdict)
                if batch and (len(batch) == MAX_BATCH or size > MAX_BATCH_BYTES):
                    break
                batch.append(held)
        return batch

    def _is_late(self, held: Held) -> bool:
        return held.entry.expires_at <= self.clock.utc()


def _size(verdict: Verdict | None) -> int:
    return len(verdict.encode()) if verdict else 0
