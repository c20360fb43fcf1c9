"""The one retry loop: which service is asked, how often, and how long between.

Vendors' clients retry each in their own way (azure-core repeats a 400 that carries Retry-After,
and sleeps for as long as it says; the Custom Vision client does not repeat at all), so their
retries are off or they are not used, and every rule stands here:

| answer | what is done |
| --- | --- |
| 400, 413, 415 | refused: this picture never |
| 401, 403, 404 | misconfigured: stop the worker |
| 408, 429, 5xx, no connection, nonsense | again, three times in a region, then the next region |

The pause is drawn between zero and a step that doubles ("full jitter": Marc Brooker, AWS
Architecture Blog, "Exponential Backoff And Jitter"). Retry-After is honoured, but never beyond a
minute nor beyond the escalation's expiry: then the next region is asked instead.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from verifier.breaker import Breaker, BreakerState
from verifier.clock import Clock
from verifier.errors import (
    BackendBusy,
    BackendMisconfigured,
    BackendRefused,
    StoreUnavailable,
)
from verifier.opinion import Backend, Metered, Opinion, Picture, Want, calls_of

log: Final = logging.getLogger(__name__)
_TRIES: Final = 3
_FIRST_S: Final = 0.5
_STEP_MAX_S: Final = 30.0
_RETRY_AFTER_MAX_S: Final = 60.0
_CALL_S: Final = 20.0


class OutOfBudget(Exception):  # noqa: N818 - it is no error, it is an answer
    """Not so many units were left as a call needs."""

    def __init__(self, units: int) -> None:
        super().__init__(units)
        self.units = units


@dataclass(frozen=True, slots=True)
class Purse:
    """Where a call's units come from, and go back to where it was not charged."""

    take: Callable[[int], str]
    """Says of which day they are; empty where too few are left."""
    give_back: Callable[[str, int], None]
    forgive: Callable[[str, int], None] = lambda day, units: None
    """Told of a charged call that only showed that a service is still away."""


Told = Callable[[Backend, str, float], None]
"""Told of every call: the backend, how it ended (`ok`, `busy`, `refused`, …), its seconds."""


@dataclass(slots=True)
class Asking:
    """Asks one Vision API in one or more regions. Safe for many threads.

    Args:
        regions: The same API at several addresses, the preferred one first.
        clock: For pauses and deadlines.
        stop: Ends every pause when it is set.
        told: Called after each call, for metrics.
        rng: For the jitter.
    """

    regions: Sequence[Backend]
    clock: Clock
    stop: threading.Event = field(default_factory=threading.Event)
    told: Told = lambda backend, ended, seconds: None
    rng: random.Random = field(default_factory=random.Random)
    breakers: tuple[Breaker, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.breakers = tuple(Breaker(self.clock) for _ in self.regions)

    def ask(
        self, picture: Picture, want: frozenset[Want], until_s: float, purse: Purse
    ) -> tuple[Backend, Opinion]:
        """The answer of the first region that has one.

        Args:
            picture: What is asked about.
            want: What is asked.
            until_s: Monotonic time after which no answer is of use.
            purse: Pays for each call.

        Raises:
            BackendBusy: no region answered; `retry_after_s` says when one may.
            BackendRefused: this picture never.
            BackendMisconfigured: no picture at all, in any region.
            OutOfBudget: the purse is empty.
        """
        broken: list[BackendMisconfigured] = []
        for backend, breaker in zip(self.regions, self.breakers, strict=True):
            try:
                return backend, self._ask_region(backend, breaker, picture, want, until_s, purse)
            except BackendBusy:
                continue
            except BackendMisconfigured as error:
                broken.append(error)
        if len(broken) == len(self.regions):
            raise broken[0]
        rest_s = min(breaker.rest_s() for breaker in self.breakers)
        raise BackendBusy("no region answers", retry_after_s=max(1.0, rest_s), billed=False)

    def _ask_region(
        self,
        backend: Backend,
        breaker: Breaker,
        picture: Picture,
        want: frozenset[Want],
        until_s: float,
        purse: Purse,
    ) -> Opinion:
        busy = BackendBusy(f"{backend.region} is left alone", billed=False)
        for attempt in range(_TRIES):
            if until_s <= self.clock.monotonic_s() or self.stop.is_set() or not breaker.admit():
                break
            try:
                return self._call(backend, breaker, picture, want, until_s, purse)
            except BackendBusy as error:
                busy = error
            if attempt + 1 < _TRIES and not self._pause(attempt, busy.retry_after_s, until_s):
                break
        raise busy

    def _call(
        self,
        backend: Backend,
        breaker: Breaker,
        picture: Picture,
        want: frozenset[Want],
        until_s: float,
        purse: Purse,
    ) -> Opinion:
        units = calls_of(backend, want)
        if not (day := purse.take(units)):
            raise OutOfBudget(units)
        # The store may have held us up for longer than the escalation is ours.
        timeout_s = min(_CALL_S, until_s - self.clock.monotonic_s())
        if timeout_s <= 0:
            purse.give_back(day, units)
            raise BackendBusy("no time was left to ask", billed=False)
        probes = breaker.state is BreakerState.HALF_OPEN
        began_s = self.clock.monotonic_s()
        ended = "bug"
        try:
            opinion = backend.look(picture, want, timeout_s)
            _answered(backend, breaker)
            ended = "ok"
            if isinstance(backend, Metered) and opinion.units < units:
                _give_spare_back(purse, day, units - opinion.units)
        except BackendBusy as error:
            # Where it opens the breaker it is the service, for all we know, and not this picture.
            probes |= _failed(backend, breaker, error)
            ended = "busy"
            if not error.billed:
                purse.give_back(day, units)
            elif probes:
                purse.forgive(day, units)
            raise
        except BackendRefused:
            _answered(backend, breaker)
            ended = "refused"
            raise
        except BackendMisconfigured as error:
            # Its answer is quick and free, so it says nothing about the region's health.
            _answered(backend, breaker)
            ended = "misconfigured"
            if not error.billed:
                purse.give_back(day, units)
            raise
        finally:
            self.told(backend, ended, self.clock.monotonic_s() - began_s)
        return opinion

    def _pause(self, attempt: int, retry_after_s: float | None, until_s: float) -> bool:
        """Wait before the next attempt; False if there is no use in one."""
        left_s = until_s - self.clock.monotonic_s()
        if retry_after_s is not None:
            if retry_after_s > min(_RETRY_AFTER_MAX_S, left_s):
                return False
            pause_s = retry_after_s
        else:
            pause_s = self.rng.uniform(0, min(_STEP_MAX_S, _FIRST_S * 2.0**attempt))
        return not self.clock.wait(self.stop, pause_s)


def _give_spare_back(purse: Purse, day: str, units: int) -> None:
    # The answer is paid for, and must not be lost with a store that is away.
    with suppress(StoreUnavailable):
        purse.give_back(day, units)


def _failed(backend: Backend, breaker: Breaker, error: BackendBusy) -> bool:
    opened = breaker.failed(charged=error.billed)
    if opened:
        log.warning("%s is left alone for a while: %s", _place(backend), error)
    return opened


def _answered(backend: Backend, breaker: Breaker) -> None:
    if breaker.succeeded():
        log.info("%s answers again", _place(backend))


def _place(backend: Backend) -> str:
    return f"{backend.name} in {backend.region}"
