"""One message in, one outcome out: the whole of the verifier but its host.

    admit ─► claim ─► cache, else budget ─► ask ─► compose ─► verified ─► the courier delivers

Whatever happens between two steps, what is written is enough to go on from: nothing is paid for
twice but what a worker that died had asked and not yet written down. `ledger.py` says why. An
answer that finds the store away is kept in memory until it can be written.

`handle` raises only what a host must stop for or come back to: a Vision API that refuses our
key, and a store that is away. Everything else is an outcome, but a bug of ours: its case is ended
as poison, and it is raised. `handle` may be called by many threads.
"""

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from verifier.admit import Admitted, Meta, admit
from verifier.asking import Asking, OutOfBudget
from verifier.budget import Budget
from verifier.cache import Cache
from verifier.claim import Claim, OutOfTries
from verifier.clock import Clock
from verifier.compose import Composer, gave_up
from verifier.dead_letters import DeadLetters
from verifier.errors import (
    BackendBusy,
    BackendMisconfigured,
    BackendRefused,
    PoisonMessage,
    SettingsRefused,
    StoreConflict,
    StoreUnavailable,
)
from verifier.ledger import MAX_CLAIMS, Case, Held, Ledger, State
from verifier.observer import Observer
from verifier.opinion import Backend, Limits, Opinion, Picture, Want
from verifier.query import answer, query_of
from visionedge.wire import Verdict

log: Final = logging.getLogger(__name__)
ANY_MODEL: Final = "*"
UNANSWERED: Final = "unanswered"
"""Why there is no verdict where the service failed over this picture again and again."""
BUG: Final = "bug"
"""Why a message was set aside that met a fault of ours."""
_MAX_UNWRITTEN: Final = 1000
_CLAIMED_S: Final = 1.0
"""When to look again at what another thread or worker asks about: about as long as a call."""


class Kind(StrEnum):
    """How handling a message ended."""

    VERIFIED = "verified"
    QUERY = "query"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    POISON = "poison"
    DEFERRED = "deferred"

    @property
    def is_done(self) -> bool:
        """The message need not come again."""
        return self is not Kind.DEFERRED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message.

    Attributes:
        kind: How it ended.
        escalation_id: Empty where the message did not even say.
        reason: A short code, where there is one.
        retry_after_s: When a deferred message is worth handing in again.
    """

    kind: Kind
    escalation_id: str = ""
    reason: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """Who is asked about a model's escalations, what, and how the answer is read."""

    asking: Asking
    want: frozenset[Want]
    composer: Composer = field(default_factory=Composer)

    def __post_init__(self) -> None:
        first = self.asking.regions[0]
        if missing := self.want - first.offers:
            known = ", ".join(sorted(first.offers))
            raise SettingsRefused(
                f"want: {first.name} does not offer {', '.join(sorted(missing))}",
                hint=f"it offers: {known}",
            )

    @property
    def backend(self) -> Backend:
        """The API, in its preferred region."""
        return self.asking.regions[0]


@dataclass(frozen=True, slots=True)
class Core:
    """Handles messages.

    Args:
        routes: By name of the model that doubted; `*` for all others.
        on_verified: Given each verdict that was written and is to be delivered, and each that a
            module asked for again by sending its escalation once more.
        on_spent: Told of a module whose message met an empty budget.
        keep: Given each verdict with what it is about, for the data set.
        ask_s: How long to try for an answer, from the claim on; less than the ledger's lease, so
            that no other worker takes an escalation over while it is still being asked about.
    """

    routes: Mapping[str, Route]
    ledger: Ledger
    budget: Budget
    cache: Cache
    dead_letters: DeadLetters
    clock: Clock
    on_verified: Callable[[Held], None]
    observer: Observer = field(default_factory=Observer)
    on_spent: Callable[[str, str, int], None] = lambda device_id, module_id, units: None
    keep: Callable[[Admitted, Verdict], None] = lambda admitted, verdict: None
    ask_s: float = 80.0
    _unwritten: dict[Case, Verdict] = field(default_factory=dict, init=False, repr=False)

    def handle(self, body: bytes, meta: Meta, within_s: float = math.inf) -> Outcome:
        """Take one message to its outcome.

        Args:
            body: As it was sent.
            meta: What the hub says of it.
            within_s: How long its host has for it, where that is less than `ask_s`.

        Raises:
            BackendMisconfigured: no picture can be asked about; stop, and wake somebody.
            StoreUnavailable: try the same message again later.
        """
        outcome = self._handle(body, meta, within_s)
        self.observer.handled(outcome.kind, outcome.reason)
        return outcome

    def _handle(self, body: bytes, meta: Meta, within_s: float) -> Outcome:
        try:
            query = query_of(body)
            if query is not None:
                answer(query, meta, self.ledger, self.on_verified, self.clock.utc())
                return Outcome(Kind.QUERY)
            admitted = admit(body, meta)
        except PoisonMessage as error:
            return self._set_aside(body, meta, error.reason, str(error))
        until_s = self.clock.monotonic_s() + min(self.ask_s, within_s)
        mine, held = self.ledger.claim(admitted.case)
        if not mine and not self._is_unwritten(held):
            return self._known(held)
        claim = Claim(held, self.ledger, self.budget, until_s)
        try:
            return self._settle(admitted, claim, body, meta)
        except StoreConflict:
            # Our claim ran out and another worker has it: its word counts, not ours.
            return Outcome(Kind.DEFERRED, admitted.case.escalation_id, "claim_lost", 1.0)
        except StoreUnavailable:
            if held.case not in self._unwritten:
                # Nobody died, and nothing is paid for: the next attempt may claim it at once.
                with suppress(StoreConflict, StoreUnavailable):
                    self.ledger.release(claim.held)
            raise
        except BackendMisconfigured:
            raise
        except Exception as error:
            self._bury(claim, body, meta, error)
            raise

    def _bury(self, claim: Claim, body: bytes, meta: Meta, error: Exception) -> None:
        """End a case that met a bug, so that it does not stay claimed; the host logs it."""
        self._set_aside(body, meta, BUG, f"{type(error).__name__}: {error}")
        with suppress(StoreConflict):
            self.ledger.settle(claim.held, State.POISON, BUG)

    def _settle(self, admitted: Admitted, claim: Claim, body: bytes, meta: Meta) -> Outcome:
        id_ = admitted.case.escalation_id
        if admitted.case.expires_at <= self.clock.utc():
            self.ledger.settle(claim.held, State.EXPIRED, "late")
            return Outcome(Kind.EXPIRED, id_, "late")
        if claim.held.entry.claims > MAX_CLAIMS:
            died = f"{MAX_CLAIMS} workers died over it"
            outcome = self._set_aside(body, meta, "kills_workers", died, id_)
            self.ledger.settle(claim.held, State.POISON, "kills_workers")
            return outcome
        try:
            verdict = self._unwritten.get(admitted.case) or self._verdict(admitted, claim)
        except BackendBusy as error:
            self.ledger.release(claim.held)
            return Outcome(Kind.DEFERRED, id_, "busy", error.retry_after_s or 1.0)
        except BackendMisconfigured:
            self.ledger.release(claim.held)
            raise
        self.on_verified(self._write(claim.held, verdict))
        self.observer.agreed(verdict.agreement or "none")
        self.keep(admitted, verdict)
        return Outcome(Kind.VERIFIED, id_, verdict.reason or "")

    def _write(self, claim: Held, verdict: Verdict) -> Held:
        """Write a verdict down; while the store is away it is kept here, for it is paid for."""
        try:
            held = self.ledger.verified(claim, verdict)
        except StoreUnavailable:
            self._unwritten[claim.case] = verdict
            while len(self._unwritten) > _MAX_UNWRITTEN:
                self._unwritten.pop(next(iter(self._unwritten)), None)
            raise
        self._unwritten.pop(claim.case, None)
        return held

    def _is_unwritten(self, held: Held) -> bool:
        """True if we hold this claim and its verdict; it waits for nothing but the store."""
        if held.entry.state is State.CLAIMED and self.ledger.is_mine(held.entry):
            return held.case in self._unwritten
        self._unwritten.pop(held.case, None)
        return False

    def _verdict(self, admitted: Admitted, claim: Claim) -> Verdict:
        escalation, picture = admitted.escalation, admitted.picture
        route = self.routes.get(escalation.model.name) or self.routes[ANY_MODEL]
        now = self.clock.utc
        name = route.backend.name
        if unfit := _unfit(picture, route.backend.limits):
            return gave_up(escalation, name, unfit, now())
        try:
            opinion = self._opinion(route, picture, admitted, claim)
        except OutOfBudget as spent:
            self.on_spent(admitted.case.device_id, admitted.case.module_id, spent.units)
            return gave_up(escalation, name, "budget", now())
        except OutOfTries:
            log.warning("%s has no answer to escalation %s", name, escalation.id)
            return gave_up(escalation, name, UNANSWERED, now())
        except BackendRefused as error:
            log.warning("%s refused escalation %s: %s", name, escalation.id, error)
            return gave_up(escalation, name, "refused", now())
        return route.composer.compose(escalation, opinion, route.want, name, now())

    def _opinion(self, route: Route, picture: Picture, admitted: Admitted, claim: Claim) -> Opinion:
        cached = self.cache.find(route.backend, picture, route.want)
        if cached is not None:
            return cached
        left_s = (admitted.case.expires_at - self.clock.utc()).total_seconds()
        until_s = min(claim.until_s, self.clock.monotonic_s() + left_s)
        try:
            backend, opinion = route.asking.ask(picture, route.want, until_s, claim.purse())
        except BackendBusy:
            if claim.is_spent:
                raise OutOfTries from None
            raise
        self.observer.charged(backend, opinion.units)
        self.cache.keep(route.backend, picture, route.want, opinion)
        return opinion

    def _known(self, held: Held) -> Outcome:
        entry = held.entry
        if entry.state is State.CLAIMED:
            return Outcome(Kind.DEFERRED, entry.escalation_id, "claimed", _CLAIMED_S)
        if entry.state is State.VERIFIED and self.ledger.is_mine(entry):
            # A module that sends again waits for its verdict, so it can be reached now.
            self.on_verified(held)
        return Outcome(Kind.DUPLICATE, entry.escalation_id, entry.state)

    def _set_aside(
        self, body: bytes, meta: Meta, reason: str, detail: str, id_: str = ""
    ) -> Outcome:
        self.dead_letters.put(body, meta, reason, detail)
        log.warning("message of %s at %s set aside: %s", meta.device_id, meta.position, reason)
        return Outcome(Kind.POISON, id_, reason)


def _unfit(picture: Picture, limits: Limits) -> str:
    """Why a service would refuse this picture, or empty."""
    if len(picture.jpeg) > limits.max_bytes:
        return "picture_too_heavy"
    if min(picture.width, picture.height) < limits.min_px:
        return "picture_too_small"
    return "picture_too_big" if max(picture.width, picture.height) > limits.max_px else ""
