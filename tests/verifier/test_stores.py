"""One suite for every store: change an entry only if nobody else did."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.azurite import azurite_store

from verifier.errors import StoreConflict, StoreUnavailable
from verifier.stores.memory import MemoryStore
from verifier.stores.sqlite import SqliteStore
from verifier.stores.store import Store


@pytest.fixture(params=["memory", "sqlite", "blob"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        sqlite = SqliteStore(tmp_path / "ledger.db")
        yield sqlite
        sqlite.close()
    else:
        yield azurite_store(request)


def test_what_was_created_is_read_with_its_version(store: Store) -> None:
    version = store.create("a/b", b"1")
    stored = store.read("a/b")
    assert stored
    assert (stored.value, stored.version) == (b"1", version)
    assert store.read("a/c") is None


def test_an_empty_value_is_a_value(store: Store) -> None:
    store.create("open/x", b"")
    stored = store.read("open/x")
    assert stored is not None
    assert stored.value == b""


def test_an_entry_is_created_once(store: Store) -> None:
    store.create("a", b"1")
    with pytest.raises(StoreConflict):
        store.create("a", b"2")


def test_only_the_version_that_was_read_is_replaced(store: Store) -> None:
    first = store.create("a", b"1")
    second = store.replace("a", b"2", first)
    with pytest.raises(StoreConflict):
        store.replace("a", b"3", first)
    assert store.replace("a", b"4", second)
    stored = store.read("a")
    assert stored
    assert stored.value == b"4"


def test_an_entry_that_is_gone_is_not_replaced(store: Store) -> None:
    version = store.create("a", b"1")
    store.delete("a")
    with pytest.raises(StoreConflict):
        store.replace("a", b"2", version)


def test_a_new_entry_under_an_old_key_has_another_version(store: Store) -> None:
    version = store.create("a", b"1")
    store.delete("a")
    store.create("a", b"1")
    with pytest.raises(StoreConflict):
        store.replace("a", b"2", version)


def test_deleting_twice_is_no_error(store: Store) -> None:
    store.create("a", b"1")
    store.delete("a")
    store.delete("a")
    assert store.read("a") is None


def test_keys_are_those_with_the_prefix_in_order(store: Store) -> None:
    for key in ("x/b", "x/a%2Fc", "xy", "X/a", "x_a"):
        store.create(key, b"")
    assert list(store.keys("x/")) == ["x/a%2Fc", "x/b"]


def test_of_many_writers_each_version_has_one(store: Store) -> None:
    store.create("n", b"0")
    start = threading.Barrier(4)

    def add_five(_: int) -> None:
        start.wait(10)
        for _ in range(5):
            while True:
                stored = store.read("n")
                assert stored
                try:
                    store.replace("n", str(int(stored.value) + 1).encode(), stored.version)
                except StoreConflict:
                    continue
                break

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_five, range(4)))
    stored = store.read("n")
    assert stored
    assert stored.value == b"20"


def test_a_file_survives_its_process(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "ledger.db")
    first.create("a", b"1")
    first.close()
    second = SqliteStore(tmp_path / "ledger.db")
    stored = second.read("a")
    second.close()
    assert stored
    assert stored.value == b"1"


def test_a_file_that_cannot_be_opened_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="ledger"):
        SqliteStore(tmp_path / "absent" / "ledger.db")
