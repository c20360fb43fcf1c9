"""What is known of each escalation, so that none is paid for twice and none is forgotten.

    claimed ──► verified ──► delivered
       │            │
       ├────────────┴──────► expired        no verdict is of use any more
       └──────────────────►  poison         it can never be answered

A worker claims an escalation before it pays, and writes the verdict as `verified` before it
delivers: whatever dies after that, the verdict is there and is never bought again. A claim is
held under a lease; that of a worker which died ends by itself, and another takes over.

Every case has a mark under `open/` from before its claim until after its terminal state, so that
whoever sweeps finds all that is not at its end by a list that stays short. A crash between the
two writes leaves a mark too many, which is passed over, or swept away where its case has ended; in
another order it could leave a verdict that nobody delivers, or a claim that stands for ever.

The key begins with device and module, which IoT Hub vouches for: no device can occupy the ids
of another. What it cannot know is whether a worker that died had its answer already. Such an
escalation is asked about again, once a death at most, and `MAX_CLAIMS` deaths make it poison.
"""

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from verifier.clock import Clock
from verifier.errors import StoreConflict
from verifier.stores.store import Store, part
from visionedge.wire import Verdict

log: Final = logging.getLogger(__name__)
MAX_CLAIMS: Final = 4
"""Workers that may die over one escalation before it is thought to be the cause."""


class State(StrEnum):
    """Where an escalation stands."""

    CLAIMED = "claimed"
    VERIFIED = "verified"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    POISON = "poison"

    @property
    def is_terminal(self) -> bool:
        """Nothing happens after it."""
        return self in (State.DELIVERED, State.EXPIRED, State.POISON)


class Entry(BaseModel):
    """One escalation as the ledger keeps it.

    Attributes:
        reached_at: When it came to each of its states; the claim is the last one's.
        claims: Since somebody gave it back alive.
        tries: Calls that may have been charged, and had no answer.
        probes: Such calls that only showed that a service was still away.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State
    device_id: str
    module_id: str
    escalation_id: str
    expires_at: AwareDatetime
    changed_at: AwareDatetime
    owner: str = ""
    leased_until: AwareDatetime | None = None
    claims: int = 0
    tries: int = 0
    probes: int = 0
    reached_at: dict[State, AwareDatetime] = Field(default_factory=dict)
    verdict: Verdict | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """An escalation as it is named from outside: who sent it, and until when it matters."""

    device_id: str
    module_id: str
    escalation_id: str
    expires_at: datetime

    @property
    def path(self) -> str:
        """Device, module and id, as a part of a key."""
        parts = (self.device_id, self.module_id, self.escalation_id)
        return "/".join(map(part, parts))


@dataclass(frozen=True, slots=True)
class Held:
    """An entry, with the version that a change of it must show."""

    entry: Entry
    version: str

    @property
    def case(self) -> Case:
        """The escalation it is about."""
        e = self.entry
        return Case(e.device_id, e.module_id, e.escalation_id, e.expires_at)


class Ledger:
    """Moves escalations from state to state. Safe for many threads and workers.

    Args:
        store: Where entries are kept.
        clock: For leases.
        owner: Unique name of this worker; a new one is made up if none is given.
        lease_s: How long a claim holds without a sign of life. Longer than the longest call.
    """

    def __init__(
        self, store: Store, clock: Clock, *, owner: str = "", lease_s: float = 120.0
    ) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner or uuid.uuid4().hex
        self._lease = timedelta(seconds=lease_s)

    def claim(self, case: Case) -> tuple[bool, Held]:
        """Take the escalation, or see who has it.

        Returns:
            True with our claim, or False with the entry as somebody else wrote it.
        """
        opened = self._open(case)
        mine = self._claimed(case, claims=1)
        try:
            return True, Held(mine, self._store.create(_key(case), _encode(mine)))
        except StoreConflict:
            held = self.find(case)
        if opened and held is not None and held.entry.state.is_terminal:
            self._store.delete(_mark(case))
        if held is None or not self._is_free(held.entry):
            return False, held or Held(mine, "")
        before = held.entry
        mine = self._claimed(case, before.claims + 1, before.tries, before.probes)
        try:
            return True, Held(mine, self._store.replace(_key(case), _encode(mine), held.version))
        except StoreConflict:
            return False, self.find(case) or held

    def find(self, case: Case) -> Held | None:
        """The entry as it is now."""
        stored = self._store.read(_key(case))
        return Held(Entry.model_validate_json(stored.value), stored.version) if stored else None

    def charge(self, claim: Held) -> Held:
        """Count a call that is about to be paid for, and hold the claim anew."""
        tries = claim.entry.tries + 1
        return self._move(claim, state=State.CLAIMED, tries=tries, **self._hold())

    def release(self, claim: Held) -> None:
        """Give a claim back without an end, so that the next delivery may claim it at once."""
        self._move(claim, state=State.CLAIMED, owner="", leased_until=None, claims=0)

    def verified(self, claim: Held, verdict: Verdict) -> Held:
        """Write the verdict down; from here on it is never bought again."""
        return self._move(claim, state=State.VERIFIED, verdict=verdict, **self._hold())

    def settle(self, held: Held, state: State, reason: str = "") -> Held:
        """It has come to its end, and is no longer open; the first end is the one that stays."""
        if held.entry.state.is_terminal:
            return held
        settled = self._move(held, state=state, reason=reason)
        self._store.delete(_mark(held.case))
        return settled

    def lease(self, held: Held, pause_s: float = 0.0) -> Held:
        """Hold a verdict over a pause before its delivery, so that no second courier takes it."""
        return self._move(held, state=held.entry.state, **self._hold(pause_s))

    def is_mine(self, entry: Entry) -> bool:
        """True if this worker holds it."""
        return entry.owner == self._owner

    def abandoned(self) -> Iterator[Held]:
        """What nobody holds and somebody must bring to its end.

        Verdicts that a worker left when it died or was stopped, and claims whose escalation has
        expired since. A claim that has not is left to whoever gets its message again.
        """
        for mark in self._store.keys(_OPEN):
            stored = self._store.read(_LEDGER + mark.removeprefix(_OPEN))
            if stored is None:
                continue
            try:
                held = Held(Entry.model_validate_json(stored.value), stored.version)
            except ValidationError as error:
                # Of a later release, perhaps; the verdicts behind it must not wait for it.
                log.error("%s is no entry that is known here: %s", mark, error.errors()[0]["msg"])
                continue
            if held.entry.state.is_terminal:
                self._store.delete(mark)
            elif not self._is_leased(held.entry) and self._is_for_all(held.entry):
                yield held

    def _open(self, case: Case) -> bool:
        try:
            self._store.create(_mark(case), b"")
        except StoreConflict:
            return False
        return True

    def _is_for_all(self, entry: Entry) -> bool:
        return entry.state is State.VERIFIED or entry.expires_at <= self._clock.utc()

    def _is_free(self, entry: Entry) -> bool:
        return entry.state is State.CLAIMED and not self._is_leased(entry)

    def _is_leased(self, entry: Entry) -> bool:
        return entry.leased_until is not None and entry.leased_until > self._clock.utc()

    def _claimed(self, case: Case, claims: int, tries: int = 0, probes: int = 0) -> Entry:
        return Entry(
            state=State.CLAIMED,
            device_id=case.device_id,
            module_id=case.module_id,
            escalation_id=case.escalation_id,
            expires_at=case.expires_at,
            changed_at=self._clock.utc(),
            reached_at={State.CLAIMED: self._clock.utc()},
            claims=claims,
            tries=tries,
            probes=probes,
            **self._hold(),
        )

    def _hold(self, pause_s: float = 0.0) -> dict[str, Any]:
        until = self._clock.utc() + self._lease + timedelta(seconds=pause_s)
        return {"owner": self._owner, "leased_until": until}

    def _move(self, held: Held, *, state: State, **changes: object) -> Held:
        now = self._clock.utc()
        reached_at = held.entry.reached_at
        if state is not held.entry.state:
            reached_at = {**reached_at, state: now}
        changed = {"state": state, "changed_at": now, "reached_at": reached_at, **changes}
        entry = held.entry.model_copy(update=changed)
        version = self._store.replace(_key(held.case), _encode(entry), held.version)
        return Held(entry, version)


_LEDGER: Final = "ledger/"
_OPEN: Final = "open/"


def _key(case: Case) -> str:
    return _LEDGER + case.path


def _mark(case: Case) -> str:
    return _OPEN + case.path


def _encode(entry: Entry) -> bytes:
    return entry.model_dump_json(by_alias=True, exclude_none=True).encode()
