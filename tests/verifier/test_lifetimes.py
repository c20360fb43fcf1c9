"""Everything at once: duplicates, faults on all sides, time that passes, and deaths anywhere.

Whatever hypothesis makes of it, in the end each escalation is delivered, expired or poison; each
answer was paid for once, but where a worker died between its answer and the ledger; no verdict
left before it was written down; and a module never hears two different verdicts.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.cloud import (
    LAPTOP,
    META,
    Cloud,
    PlayedBackend,
    PlayedClock,
    PlayedReply,
    body,
    jpeg,
)
from tests.support.mortal import Fate, Killed, MortalStore, TakingTurns, Turns

from verifier.errors import (
    BackendBusy,
    BackendRefused,
    ReplyDeferred,
    ReplyRefused,
    StoreUnavailable,
)
from verifier.hosts.intake import take
from verifier.opinion import Opinion, Picture
from verifier.stores.memory import MemoryStore
from verifier.stores.store import Store
from visionedge.wire import Verdict

TERMINAL: Final = {"delivered", "expired", "poison"}
FOREVER: Final = 10**9
LEASE_S: Final = 121
TTLS_S: Final = (-60, 90, 600, 86_400)
"""Expired when it comes, before its lease, after a few lives, never within the test."""
ANSWERS: Final = ("ok", "ok", "busy", "refused", "bug")
REPLIES: Final = ("taken", "taken", "away", "refused", "taken but not said")
STORES: Final = ("there", "there", "there", "away", "written but not said")


@dataclass(eq=False)
class MoodyStore(MemoryStore):
    """A store that is away now and then, or writes and cannot say so."""

    moods: list[str]

    def __post_init__(self) -> None:
        super().__init__()

    def create(self, key: str, value: bytes) -> str:
        return self._moody(lambda: super(MoodyStore, self).create(key, value))

    def replace(self, key: str, value: bytes, version: str) -> str:
        return self._moody(lambda: super(MoodyStore, self).replace(key, value, version))

    def _moody(self, write: Callable[[], str]) -> str:
        mood = self.moods.pop() if self.moods else "there"
        if mood == "away":
            raise StoreUnavailable("away")
        version = write()
        if mood == "written but not said":
            raise StoreUnavailable("no answer")
        return version


@dataclass(eq=False)
class World:
    """What outlives every worker: the store, the clock, the bill, the module, and their moods."""

    ttls_s: Sequence[int]
    answers: list[str]
    replies: list[str]
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: PlayedClock = field(default_factory=PlayedClock)
    paid: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    heard: dict[str, set[str]] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pictures = {f"e{n}": jpeg(64, 48, shade=n) for n in range(len(self.ttls_s))}
        self.messages = [
            body(name, picture=picture, ttl_s=ttl_s)
            for (name, picture), ttl_s in zip(self.pictures.items(), self.ttls_s, strict=True)
        ]
        self._names = {picture: name for name, picture in self.pictures.items()}

    def worker(self, fate: Fate, store: Store | None = None) -> Cloud:
        """One that may die at every step."""
        return Cloud(
            clock=self.clock,
            store=MortalStore(store or self.store, fate),
            backends=[PlayedBackend([lambda picture: self._answer(picture, fate)])],
            reply=Module(self, fate),
            cache_days=0,
        )

    def _answer(self, picture: Picture, fate: Fate) -> Opinion:
        fate.step()
        mood = self.answers.pop() if self.answers else "ok"
        if mood == "busy":
            raise BackendBusy("503")
        if mood == "bug":
            raise ZeroDivisionError
        self.paid[self._names[picture.jpeg]] += 1
        fate.step()
        if mood == "refused":
            raise BackendRefused("400")
        return LAPTOP

    def died(self) -> None:
        """Note what was paid for and never written down."""
        for name, state in self.states().items():
            if state == "claimed" and self.paid[name] > self.lost[name]:
                self.lost[name] = self.paid[name]

    def states(self) -> dict[str, str]:
        """What the ledger says."""
        return Cloud(clock=self.clock, store=self.store).states()

    def check(self) -> None:
        """What must hold at every moment."""
        assert self.early == []
        for name, count in self.paid.items():
            assert count <= self.lost[name] + 1, f"{name} was paid for {count} times"
        assert all(len(verdicts) == 1 for verdicts in self.heard.values())

    def check_end(self) -> None:
        """What must hold in the end."""
        self.check()
        states = self.states()
        assert set(states.values()) <= TERMINAL
        assert {name for name, state in states.items() if state == "delivered"} <= set(self.heard)
        # A mark may be left of a claim that was never made, never one of a case.
        opened = {key.rpartition("/")[2] for key in self.store.keys("open/")}
        assert not opened & set(states)


class Module(PlayedReply):
    """Takes verdicts, or does not, or does and cannot say so."""

    def __init__(self, world: World, fate: Fate) -> None:
        super().__init__()
        self._world = world
        self._fate = fate

    def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
        self._fate.step()
        world = self._world
        mood = world.replies.pop() if world.replies else "taken"
        states = world.states()
        world.early += [v.escalation_id for v in verdicts if states[v.escalation_id] == "claimed"]
        if mood == "away":
            raise ReplyDeferred("404")
        if mood == "refused":
            raise ReplyRefused("400")
        for verdict in verdicts:
            world.heard.setdefault(verdict.escalation_id, set()).add(verdict.verdict_id)
        self._fate.step()
        if mood == "taken but not said":
            raise ReplyDeferred("504")


def live(world: World, order: Sequence[int], lifetime: int) -> None:
    """One worker's life: it takes the messages in this order, and delivers between them."""
    worker = world.worker(Fate(lifetime))
    messages = [world.messages[index % len(world.messages)] for index in order]
    steps: list[Callable[[], object]] = [worker.courier.adopt, worker.courier.turn]
    for message in messages:
        steps += [partial(take, worker.core, message, META), worker.courier.turn]
    try:
        for step in steps:
            until_there(step)
    except Killed:
        world.died()
    world.check()


def until_there(step: Callable[[], object]) -> None:
    """Do it again while the store is away, as a worker does."""
    while True:
        with suppress(StoreUnavailable):
            step()
            return


lives = st.tuples(
    st.lists(st.integers(0, 3), max_size=6), st.integers(1, 60), st.sampled_from([0, 10, 125, 700])
)


@given(
    ttls_s=st.lists(st.sampled_from(TTLS_S), min_size=1, max_size=4),
    answers=st.lists(st.sampled_from(ANSWERS), max_size=12),
    replies=st.lists(st.sampled_from(REPLIES), max_size=8),
    stores=st.lists(st.sampled_from(STORES), max_size=40),
    each=st.lists(lives, max_size=4),
    comes_again=st.booleans(),
)
@example(
    ttls_s=[86_400],
    answers=[],
    replies=["away"] * 8,
    stores=["away", "there", "there"],
    each=[],
    comes_again=True,
)
@settings(max_examples=120)
def test_whatever_happens_every_case_ends_and_is_paid_for_once(
    ttls_s: list[int],
    answers: list[str],
    replies: list[str],
    stores: list[str],
    each: list[tuple[list[int], int, int]],
    comes_again: bool,
) -> None:
    world = World(ttls_s, list(answers), list(replies), MoodyStore(list(stores)))
    for order, lifetime, pause_s in each:
        live(world, order, lifetime)
        world.clock.advance(pause_s)
    # From here on workers live. What was not checkpointed comes again, as event hubs do it; or it
    # does not, as with Functions, and what was begun must end all the same. Each life tries to
    # deliver at least once, so that none is left that nobody was there to take.
    for _ in range(4 + len(replies) if comes_again else 4):
        live(world, range(len(ttls_s)) if comes_again else [], FOREVER)
        world.clock.advance(700 if comes_again else max(TTLS_S))
    live(world, [], FOREVER)
    world.check_end()
    assert not comes_again or set(world.states()) == set(world.pictures)


@given(
    ttls_s=st.lists(st.sampled_from(TTLS_S), min_size=1, max_size=3),
    answers=st.lists(st.sampled_from(ANSWERS), max_size=6),
    order=st.lists(st.integers(0, 1), max_size=60),
    lifetimes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=60)
def test_two_workers_that_take_turns_and_die_pay_again_only_for_what_was_in_flight(
    ttls_s: list[int], answers: list[str], order: list[int], lifetimes: tuple[int, int]
) -> None:
    world = World(ttls_s, list(answers), [])
    turns = Turns(list(order), {0, 1})
    deaths = []

    def run(number: int) -> None:
        store = TakingTurns(world.store, turns, number)
        worker = world.worker(Fate(lifetimes[number]), store)
        try:
            with suppress(Killed):
                deaths.append(number)
                for message in world.messages if number else reversed(world.messages):
                    take(worker.core, message, META)
                worker.courier.turn()
                deaths.remove(number)
        finally:
            turns.leave(number)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))
    if deaths:
        world.died()
    world.check()
    for _ in range(4):
        world.clock.advance(LEASE_S)
        live(world, range(len(ttls_s)), FOREVER)
    world.clock.advance(max(TTLS_S))
    live(world, [], FOREVER)
    world.check_end()
