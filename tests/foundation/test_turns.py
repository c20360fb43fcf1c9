"""Cameras that can hold a frame back ask for their turn before they convert it."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.running import wait_until

from visionedge.runtime.slot import LatestSlots, Turn
from visionedge.runtime.worker import Worker

GRANTED: Turn[str] = Turn(granted=True)
REFUSED: Turn[str] = Turn(granted=False)


def begin_to_ask(
    slots: LatestSlots[str], keys: str, answers: dict[str, Turn[str]], timeout_s: float = 60
) -> list[Worker]:
    """A thread for each key that asks and puts; one after the other, so that they have an order."""

    def ask(_: Worker, key: str) -> None:
        answers[key] = slots.ask(key, timeout_s)
        if answers[key].granted:
            slots.put(key, key)

    threads = []
    for key in keys:
        threads.append(Worker(f"asks-{key}", partial(ask, key=key)).start())
        wait_until(lambda: len(answers) + len(slots._asking) == len(threads), f"{key} asks")
    return threads


def test_while_there_is_room_a_turn_is_had_at_once() -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    assert slots.ask("a", 0) == GRANTED
    assert slots.put("a", "a") is None
    assert slots.take(0) == "a"


def test_who_finds_no_room_waits_until_something_is_taken() -> None:
    slots: LatestSlots[str] = LatestSlots(room=2)
    answers: dict[str, Turn[str]] = {}
    threads = begin_to_ask(slots, "abcd", answers)
    wait_until(lambda: slots.is_waiting("a") and slots.is_waiting("b"), "two are put")
    assert set(answers) == set("ab")
    assert slots.take(0) == "a"
    wait_until(lambda: slots.is_waiting("c"), "the third is put")
    assert set(answers) == set("abc")
    assert [slots.take(60) for _ in range(3)] == ["b", "c", "d"]
    assert all(thread.join(10) for thread in threads)


def test_eight_that_come_at_once_are_all_served_and_never_is_more_than_the_room_waiting() -> None:
    """A line whose cameras are triggered together."""
    slots: LatestSlots[str] = LatestSlots(room=2)
    answers: dict[str, Turn[str]] = {}
    threads = begin_to_ask(slots, "abcdefgh", answers)
    seen = []
    for _ in range(8):
        assert len(slots._waiting) + len(slots._coming) <= 2
        seen.append(slots.take(60))
    assert sorted(filter(None, seen)) == list("abcdefgh")
    assert all(answer == GRANTED for answer in answers.values())
    assert all(thread.join(10) for thread in threads)


def test_a_consumer_that_waits_is_room_for_one_more() -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    taken: list[str | None] = []
    consumer = Worker("consumer", lambda _: taken.append(slots.take(60))).start()
    wait_until(lambda: len(slots._idle) == 1, "the consumer waits")
    answers: dict[str, Turn[str]] = {}
    threads = begin_to_ask(slots, "ab", answers)
    assert all(thread.join(10) for thread in (*threads, consumer))
    assert taken == ["a"]
    assert slots.take(0) == "b"


def test_a_key_whose_item_waits_may_always_replace_it() -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    assert slots.ask("a", 0) == GRANTED
    slots.put("a", "old")
    assert slots.ask("a", 0) == GRANTED
    assert slots.put("a", "new") == "old"


def test_who_can_wait_no_longer_finds_room_for_one_more_and_then_none() -> None:
    slots: LatestSlots[str] = LatestSlots(room=2)
    for key in "abc":
        assert slots.ask(key, 0) == GRANTED
        slots.put(key, key)
    assert slots.ask("d", 0) == REFUSED


def test_an_item_gives_way_to_a_key_that_is_farther_behind() -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    slots.weigh({"a": 1, "b": 1, "c": 1})
    for key in "ab":
        slots.ask(key, 0)
        slots.put(key, f"{key} first")
    assert slots.take(0) == "a first"
    slots.ask("a", 0)
    slots.put("a", "a second")
    assert slots.ask("c", 0) == Turn(granted=True, instead_of="a second")
    slots.put("c", "c first")
    assert [slots.take(0) for _ in range(3)] == ["b first", "c first", None]


def test_an_item_that_was_promised_its_turn_does_not_give_way() -> None:
    """Frames of other modules, and of files that are to lose none, are put without asking."""
    slots: LatestSlots[str] = LatestSlots(room=1)
    slots.put("a", "a first")
    assert slots.take(0) == "a first"
    slots.put("a", "a second")
    slots.put("b", "b first")
    assert slots.ask("c", 0) == REFUSED
    assert {slots.take(0), slots.take(0)} == {"a second", "b first"}


@pytest.mark.parametrize(
    "make_way",
    [
        pytest.param(lambda slots: slots.pass_on("a"), id="no-item-comes-of-a-turn"),
        pytest.param(lambda slots: slots.discard("a"), id="a-camera-is-removed"),
        pytest.param(lambda slots: slots.make_room(2), id="there-is-more-room"),
    ],
)
def test_who_waits_has_its_turn_as_soon_as_there_is_room(
    make_way: Callable[[LatestSlots[str]], object],
) -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    assert slots.ask("a", 0) == GRANTED
    answers: dict[str, Turn[str]] = {}
    threads = begin_to_ask(slots, "b", answers)
    assert not answers
    make_way(slots)
    assert all(thread.join(10) for thread in threads)
    assert answers == {"b": GRANTED}


def test_nobody_waits_for_a_turn_once_all_is_closed() -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    slots.ask("a", 0)
    answers: dict[str, Turn[str]] = {}
    threads = begin_to_ask(slots, "b", answers)
    slots.close()
    assert all(thread.join(10) for thread in threads)
    assert answers == {"b": REFUSED}
    assert slots.ask("c", 60) == REFUSED
    assert slots.put("a", "a") == "a"


def in_step(slots: LatestSlots[str], keys: str, served: int, rounds: int) -> str:
    """Who is served when all come one after the other in each round, and none can wait."""
    order = ""
    for _ in range(rounds):
        for number, key in enumerate(keys):
            if slots.ask(key, 0).granted:
                slots.put(key, key)
            # The consumers' pace, spread over the round.
            if number * served // len(keys) != (number + 1) * served // len(keys):
                order += slots.take(0) or ""
    return order


def test_a_camera_that_always_comes_at_a_bad_moment_has_its_share() -> None:
    """Cameras of one rate keep the phase they began with, so that the same ones meet full slots."""
    for served in range(2, 8):
        slots: LatestSlots[str] = LatestSlots(room=1)
        slots.weigh(dict.fromkeys("abcdefgh", 1.0))
        order = in_step(slots, "abcdefgh", served, 400)
        shares = [order.count(key) / (len(order) / 8) for key in "abcdefgh"]
        assert min(shares) > 0.9, (served, shares)


def test_a_refused_camera_of_twice_the_weight_gets_twice_the_turns() -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    slots.weigh({"a": 1, "b": 1, "c": 1, "d": 2})
    order = in_step(slots, "abcd", 1, 1000)
    assert abs(order.count("d") - 2 * order.count("a")) <= 4, [order.count(k) for k in "abcd"]


def test_a_camera_that_was_refused_and_then_silent_has_saved_up_one_turn_at_most() -> None:
    slots: LatestSlots[str] = LatestSlots(room=1)
    for key in "ab":
        slots.ask(key, 0)
        slots.put(key, key)
    assert slots.ask("c", 0) == REFUSED
    in_step(slots, "ab", 1, 1000)
    order = in_step(slots, "abc", 1, 30)
    assert 9 <= order.count("c") <= 12


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()) | st.none(), max_size=80))
def test_every_item_is_taken_replaced_or_told_and_no_more_than_the_room_and_one_waits(
    steps: list[tuple[str, bool] | None],
) -> None:
    slots: LatestSlots[str] = LatestSlots(room=2)
    put = seen = gone = 0
    for step in steps:
        if step is None:
            seen += slots.take(0) is not None
            continue
        key, comes = step
        turn = slots.ask(key, 0)
        gone += turn.instead_of is not None
        if turn.granted and comes:
            put += 1
            gone += slots.put(key, key) is not None
        elif turn.granted:
            slots.pass_on(key)
        assert len(slots._waiting) <= 3
        assert not slots._coming
        assert slots._loose <= slots._waiting.keys()
    assert put == seen + gone + len(slots._waiting)
