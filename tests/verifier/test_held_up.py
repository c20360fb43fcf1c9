"""A store that stalls between the claim and the call: nothing is paid for that another has."""

from dataclasses import dataclass, field

import pytest
from tests.support.cloud import META, Cloud, PlayedBackend, PlayedClock, body

from verifier.core import Kind
from verifier.stores.memory import MemoryStore
from verifier.stores.store import Stored


@dataclass(eq=False)
class Stalling(MemoryStore):
    """Takes long, once, over a read under `prefix` or over the write that counts a call."""

    clock: PlayedClock = field(default_factory=PlayedClock)
    prefix: str = "budget/"
    seconds: float = 0.0
    other: Cloud | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def read(self, key: str) -> Stored | None:
        if self.prefix and key.startswith(self.prefix):
            self._stall()
        return super().read(key)

    def replace(self, key: str, value: bytes, version: str) -> str:
        version = super().replace(key, value, version)
        if not self.prefix and key.startswith("ledger/"):
            self._stall()
        return version

    def _stall(self) -> None:
        seconds, self.seconds = self.seconds, 0.0
        if seconds:
            self.clock.advance(seconds)
            if self.other:
                self.other.core.handle(body("a"), META)


@pytest.mark.parametrize("prefix", ["budget/", "cache/", ""])
def test_what_another_worker_has_taken_over_is_not_paid_for_again(prefix: str) -> None:
    clock = PlayedClock()
    store = Stalling(clock=clock, prefix=prefix, seconds=245)
    one, two = (
        Cloud(clock=clock, store=store, owner=name, per_hub=100, per_device=50)
        for name in ("one", "two")
    )
    store.other = two
    outcome = one.core.handle(body("a"), META)
    assert (outcome.kind, outcome.reason) == (Kind.DEFERRED, "claim_lost")
    assert (one.backends[0].calls, two.backends[0].calls) == (0, 1)
    assert one.budget.left() == 99
    assert one.core.handle(body("a"), META).kind is Kind.DUPLICATE


@pytest.mark.parametrize("prefix", ["budget/", "cache/", ""])
def test_what_took_too_long_is_not_paid_for_though_nobody_else_has_it(prefix: str) -> None:
    clock = PlayedClock()
    store = Stalling(clock=clock, prefix=prefix, seconds=100)
    cloud = Cloud(clock=clock, store=store, per_hub=100, per_device=50)
    assert cloud.core.handle(body("a"), META).kind is Kind.DEFERRED
    assert (cloud.backends[0].calls, cloud.budget.left()) == (0, 100)
    assert cloud.core.handle(body("a"), META).kind is Kind.VERIFIED


def test_a_call_is_over_before_the_claim_is() -> None:
    clock = PlayedClock()
    store = Stalling(clock=clock, seconds=70)
    backend = PlayedBackend()
    Cloud(clock=clock, store=store, backends=[backend], per_hub=100).core.handle(body("a"), META)
    assert backend.timeouts_s == [pytest.approx(10)]
