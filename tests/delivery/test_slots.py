"""Slots: whatever moment the power goes, one bundle is active, and it is a proven one."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from visionedge.delivery.slots import MAX_TRIES, SlotStore

A, B, C = "a" * 64, "b" * 64, "c" * 64


def bundle(store: SlotStore, sha256: str) -> None:
    path = store.path_of("m", sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")


@pytest.fixture
def store(tmp_path: Path) -> SlotStore:
    store = SlotStore(tmp_path)
    for sha256 in (A, B):
        bundle(store, sha256)
    store.commit("m", A)
    bundle(store, B)
    return store


class PowerCutError(BaseException):
    """The device is off: nothing after it happens."""


STEPS = ("open", "fsync", "replace", "rmtree")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("action", ["begin", "hold", "commit", "refuse", "allow", "end"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_power_cut_at_any_step_leaves_a_bundle_that_was_proven(
    store: SlotStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    action: str,
    nth: int,
) -> None:
    calls = 0

    def cut_before(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls == nth:
                raise PowerCutError
            return real(*args, **kwargs)

        return call

    places: dict[str, tuple[object, str]] = {
        "open": (os, "open"),
        "fsync": (os, "fsync"),
        "replace": (Path, "replace"),
        "rmtree": (shutil, "rmtree"),
    }
    where, name = places[step]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, cut_before(getattr(where, name)))
        given: dict[str, list[str | float]] = {"end": [], "refuse": [B, "bad"], "hold": [B, 9.0]}
        with contextlib.suppress(PowerCutError):
            getattr(store, action)("m", *given.get(action, [B]))
    after = SlotStore(tmp_path)
    assert after.slots("m").active in ({A, B} if action == "commit" else {A})
    assert after.has("m", after.slots("m").active)
    # And the next start can do it again.
    again = B if after.has("m", B) else A
    after.commit("m", again)
    assert after.slots("m").active == again


def test_the_one_before_is_kept_and_older_ones_go(store: SlotStore) -> None:
    store.commit("m", B)
    assert (store.slots("m").active, store.slots("m").previous) == (B, A)
    bundle(store, C)
    store.commit("m", C)
    assert (store.slots("m").active, store.slots("m").previous) == (C, B)
    assert not store.has("m", A)


def test_refusing_the_active_one_puts_the_one_before_back(store: SlotStore) -> None:
    store.commit("m", B)
    store.refuse("m", B, "rolled back")
    slots = store.slots("m")
    assert (slots.active, slots.previous, slots.refused) == (A, "", {B: "rolled back"})
    assert not store.has("m", B)


def test_a_trial_that_always_ends_with_the_process_is_given_up(store: SlotStore) -> None:
    assert all(store.begin("m", B) for _ in range(MAX_TRIES))
    assert not store.begin("m", B)
    assert "ended" in store.slots("m").refused[B]
    assert store.slots("m").active == A


def test_a_trial_that_ended_in_good_order_does_not_count(store: SlotStore) -> None:
    for _ in range(2 * MAX_TRIES):
        assert store.begin("m", B)
        store.end("m")


def test_what_was_refused_can_be_allowed_again(store: SlotStore) -> None:
    store.refuse("m", B, "bad")
    store.allow("m", B)
    assert store.slots("m").refused == {}


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"active": 1, "x": 2}'])
def test_a_file_that_cannot_be_read_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "slots.json").write_text(text)
    assert SlotStore(tmp_path).slots("m").active == ""


def test_the_refused_are_remembered_to_a_bound(store: SlotStore, tmp_path: Path) -> None:
    for number in range(50):
        store.refuse("m", f"{number:064x}", "bad")
    assert len(json.loads((tmp_path / "m" / "slots.json").read_text())["refused"]) == 8


def test_how_long_a_canary_was_held_is_kept_over_restarts_and_gone_with_its_bundle(
    store: SlotStore, tmp_path: Path
) -> None:
    store.begin("m", B)
    assert store.held_s("m", B) is None
    store.hold("m", B, 120.0)
    store.end("m")
    assert SlotStore(tmp_path).held_s("m", B) == 120.0
    assert store.held_s("m", C) is None
    assert store.held_s("m", "") is None
    store.commit("m", B)
    assert store.held_s("m", B) is None
    bundle(store, C)
    store.hold("m", C, 5.0)
    store.refuse("m", C, "bad")
    assert store.held_s("m", C) is None


def test_a_canary_that_gets_on_is_not_given_up_for_power_cuts(store: SlotStore) -> None:
    for minute in range(3 * MAX_TRIES):
        assert store.begin("m", B)
        store.hold("m", B, 60.0 * minute)


def test_the_file_of_a_later_release_keeps_what_is_active(store: SlotStore, tmp_path: Path) -> None:
    path = tmp_path / "m" / "slots.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "of_a_later_release": [1]}))
    assert store.slots("m").active == A


@pytest.fixture
def failing_reads(
    store: SlotStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """Slots that cannot be read, for want of file descriptors, until it is undone."""
    real = Path.read_text
    assert store.slots("m").active == A

    def read(path: Path, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - as the real one
        if path.name == "slots.json":
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", read)
        yield patch


@pytest.mark.usefixtures("failing_reads")
def test_a_read_that_fails_for_a_moment_costs_nothing_that_was_known(store: SlotStore) -> None:
    store.forget_others("m", C)
    assert store.has("m", A)
    assert store.begin("m", B)
    assert (store.slots("m").active, store.slots("m").tried) == (A, B)


def test_what_was_never_read_is_not_changed_and_nothing_is_deleted_by_it(
    store: SlotStore, tmp_path: Path, failing_reads: pytest.MonkeyPatch
) -> None:
    fresh = SlotStore(tmp_path)
    assert fresh.slots("m").active == ""
    for change in (fresh.forget_others, fresh.begin, fresh.commit, fresh.allow):
        with pytest.raises(OSError, match="Too many"):
            change("m", C)
    fresh.end("m")
    failing_reads.undo()
    assert fresh.slots("m") == store.slots("m")
    assert all(fresh.has("m", sha256) for sha256 in (A, B))


def test_a_damaged_file_is_set_aside_and_no_bundle_goes_with_it(
    store: SlotStore, tmp_path: Path
) -> None:
    path = tmp_path / "m" / "slots.json"
    path.write_text("half of")
    fresh = SlotStore(tmp_path)
    fresh.forget_others("m", C)
    fresh.refuse("m", C, "bad")
    assert all(fresh.has("m", sha256) for sha256 in (A, B))
    assert path.with_name("slots.json.damaged").read_text() == "half of"
    fresh.commit("m", B)
    assert not fresh.has("m", A)


def test_a_file_that_is_damaged_under_a_running_module_is_written_again(
    store: SlotStore, tmp_path: Path
) -> None:
    (tmp_path / "m" / "slots.json").write_text("half of")
    assert store.slots("m").active == A
    assert SlotStore(tmp_path).slots("m").active == A
