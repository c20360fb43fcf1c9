"""Whatever dies, wherever it dies, whoever else is at work: paid once, and every case ends.

Two ways of looking. A worker is killed before or after any write, call or delivery, and others
take over what it left. And several workers handle the same messages at once, taking turns at
every access to the store in an order that hypothesis chooses.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cloud import LAPTOP, META, Cloud, PlayedBackend, PlayedClock, PlayedReply, body
from tests.support.mortal import Fate, Killed, MortalStore, TakingTurns, Turns

from verifier.opinion import Opinion, Picture
from verifier.stores.memory import MemoryStore
from visionedge.wire import Verdict


@dataclass(eq=False)
class World:
    """What outlives every worker: the store, the bill, and the module."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: PlayedClock = field(default_factory=PlayedClock)
    paid: list[str] = field(default_factory=list)
    module: list[str] = field(default_factory=list)
    deaths: int = 0

    def worker(self, fate: Fate) -> Cloud:
        def pay(picture: Picture) -> Opinion:
            fate.step()
            self.paid.append(picture.sha256)
            fate.step()
            return LAPTOP

        class MortalReply(PlayedReply):
            def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
                fate.step()
                world.module.extend(verdict.escalation_id for verdict in verdicts)
                fate.step()

        world = self
        return Cloud(
            clock=self.clock,
            store=MortalStore(self.store, fate),
            backends=[PlayedBackend([pay])],
            reply=MortalReply(),
            cache_days=0,
        )

    def live(self, messages: Sequence[bytes], lifetime: int) -> bool:
        """One worker's life over all messages; True if it saw the end of them."""
        worker = self.worker(Fate(lifetime))
        try:
            worker.courier.adopt()
            for message in messages:
                if not worker.core.handle(message, META).kind.is_done:
                    return False
            worker.courier.turn()
        except Killed:
            self.deaths += 1
            return False
        return True


@given(lifetimes=st.lists(st.integers(1, 40), max_size=3), ids=st.integers(1, 3))
@settings(max_examples=300)
def test_wherever_workers_die_each_case_ends_and_is_paid_for_once_a_death_more_at_most(
    lifetimes: list[int], ids: int
) -> None:
    world = World()
    names = [f"e{n}" for n in range(ids)]
    messages = [body(name, ttl_s=86_400) for name in names]
    for lifetime in [*lifetimes, 10**6]:
        world.live([*messages, messages[0]], lifetime)
        world.clock.advance(121)
    assert world.live(messages, 10**6)
    states = world.worker(Fate(10**6)).states()
    assert states == dict.fromkeys(names, "delivered")
    assert len(world.paid) <= len(names) + world.deaths
    assert set(world.module) == set(names)
    assert list(world.store.keys("open/")) == []


def test_every_single_point_of_death_is_survived() -> None:
    for lifetime in range(1, 30):
        world = World()
        ended = world.live([body("a", ttl_s=86_400)], lifetime)
        world.clock.advance(121)
        assert world.live([body("a", ttl_s=86_400)], 10**6)
        assert world.worker(Fate(10**6)).states() == {"a": "delivered"}
        assert len(world.paid) <= 1 + world.deaths
        if ended:
            return
    raise AssertionError("a life has more points than were tried")


@given(order=st.lists(st.integers(0, 2), max_size=80), same=st.booleans())
@settings(max_examples=60)
def test_in_any_order_of_their_steps_workers_pay_once_and_hold_the_budget(
    order: list[int], same: bool
) -> None:
    store, clock, turns = MemoryStore(), PlayedClock(), Turns(list(order), {0, 1, 2})
    backends = [PlayedBackend() for _ in range(3)]
    names = ["a", "b"] if same else ["a", "b", "c", "d"]

    def run(number: int) -> Cloud:
        cloud = Cloud(
            clock=clock,
            store=TakingTurns(store, turns, number),
            backends=[backends[number]],
            per_hub=3,
            cache_days=0,
        )
        try:
            for name in names if number % 2 else reversed(names):
                cloud.core.handle(body(name), META)
            cloud.courier.turn()
        finally:
            turns.leave(number)
        return cloud

    with ThreadPoolExecutor(3) as pool:
        workers = list(pool.map(run, range(3)))
    taken = [verdict for worker in workers for verdict in worker.reply.taken]
    assert sum(backend.calls for backend in backends) == min(3, len(names))
    assert sorted(v.escalation_id for v in taken) == names
    assert sum(v.status == "verified" for v in taken) == min(3, len(names))
    states = Cloud(clock=clock, store=store).states()
    assert states == dict.fromkeys(names, "delivered")
