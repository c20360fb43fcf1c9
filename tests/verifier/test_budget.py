"""A budget holds, whoever takes from it and however many do at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.azurite import azurite_store
from tests.support.cloud import PlayedClock

from verifier.budget import Budget
from verifier.stores.memory import MemoryStore
from verifier.stores.sqlite import SqliteStore
from verifier.stores.store import Store


def budget(per_hub: int | None = None, per_device: int | None = None) -> tuple[Budget, PlayedClock]:
    clock = PlayedClock()
    return Budget(MemoryStore(), clock, per_hub=per_hub, per_device=per_device), clock


def test_a_device_cannot_use_up_the_others() -> None:
    purse, _ = budget(per_hub=100, per_device=3)
    assert [bool(purse.take("greedy")) for _ in range(5)] == [True] * 3 + [False] * 2
    assert purse.take("modest")
    assert (purse.left(), purse.left("greedy"), purse.left("modest")) == (96, 0, 2)


def test_what_the_hub_refuses_the_device_keeps() -> None:
    purse, _ = budget(per_hub=1, per_device=10)
    assert purse.take("a")
    assert not purse.take("b")
    assert purse.left("b") == 10


def test_the_day_ends_at_midnight_utc() -> None:
    purse, clock = budget(per_hub=1)
    assert purse.take("a")
    assert not purse.take("a")
    clock.advance(12 * 3600)
    assert purse.take("a")


def test_without_a_limit_all_is_counted_and_nothing_refused() -> None:
    purse, _ = budget()
    assert all(purse.take("a") for _ in range(50))
    assert purse.left() is None


def test_what_is_given_back_can_be_taken() -> None:
    purse, _ = budget(per_hub=1, per_device=1)
    purse.give_back(purse.take("a"), "a")
    assert purse.take("a")


def test_what_is_given_back_after_midnight_is_of_the_day_before() -> None:
    purse, clock = budget(per_hub=3, per_device=3)
    day = purse.take("a")
    clock.advance(12 * 3600)
    assert all(purse.take("a") for _ in range(3))
    purse.give_back(day, "a")
    assert (purse.left(), purse.left("a")) == (0, 0)


def test_a_device_called_as_a_part_of_a_key_has_a_budget_of_its_own() -> None:
    purse, _ = budget(per_hub=100, per_device=1)
    assert all(purse.take(name) for name in ("hub", "device", "a/b", "a", "a%2Fb"))


@pytest.fixture(params=["memory", "sqlite", "blob"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        sqlite = SqliteStore(tmp_path / "budget.db")
        yield sqlite
        sqlite.close()
    else:
        yield azurite_store(request)


def test_many_workers_never_overspend(store: Store) -> None:
    clock = PlayedClock()
    start = threading.Barrier(6)

    def spend(worker: int) -> int:
        mine = Budget(store, clock, per_hub=8, per_device=3)
        start.wait(10)
        return sum(bool(mine.take(f"device-{worker % 3}")) for _ in range(4))

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(spend, range(6)))
    assert sum(taken) == 8
    assert all(sum(taken[device::3]) <= 3 for device in range(3))


def test_many_workers_that_give_back_lose_and_gain_nothing(store: Store) -> None:
    clock = PlayedClock()
    start = threading.Barrier(4)

    def borrow(worker: int) -> None:
        mine = Budget(store, clock, per_hub=3, per_device=2)
        start.wait(10)
        for _ in range(3):
            if day := mine.take(f"device-{worker % 2}"):
                mine.give_back(day, f"device-{worker % 2}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(borrow, range(4)))
    after = Budget(store, clock, per_hub=3, per_device=2)
    assert (after.left(), after.left("device-0"), after.left("device-1")) == (3, 2, 2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_taken_less_given_back_is_never_over_either_limit(steps: list[tuple[str, bool]]) -> None:
    purse, _ = budget(per_hub=7, per_device=3)
    held: dict[str, list[str]] = {device: [] for device in "abc"}
    for device, takes in steps:
        if takes:
            held[device] += filter(None, [purse.take(device)])
        elif held[device]:
            purse.give_back(held[device].pop(), device)
        units = [len(days) for days in held.values()]
        assert sum(units) <= 7
        assert max(units) <= 3
        assert purse.left() == 7 - sum(units)
