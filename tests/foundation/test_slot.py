"""The hand-over of frames: the newest wins, cameras take turns, nothing waits for nobody."""

import threading
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from tests.support.running import wait_until

from visionedge.runtime.slot import LatestSlots
from visionedge.runtime.worker import Worker


def test_the_newest_item_replaces_the_one_that_waits() -> None:
    slots: LatestSlots[int] = LatestSlots()
    assert slots.put("a", 1) is None
    assert slots.put("a", 2) == 1
    assert slots.take(0) == 2
    assert slots.take(0) is None


def test_a_fast_camera_does_not_starve_the_others() -> None:
    slots: LatestSlots[str] = LatestSlots()
    slots.put("slow", "slow")
    for n in range(100):
        slots.put("fast", f"fast-{n}")
    assert slots.take(0) == "slow"
    slots.put("slow", "slow again")
    assert slots.take(0) == "fast-99"
    assert slots.take(0) == "slow again"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()) | st.none(), max_size=60))
def test_nothing_is_lost_unseen_and_no_camera_waits_for_more_than_the_others(
    steps: list[tuple[str, int] | None],
) -> None:
    slots: LatestSlots[tuple[int, str]] = LatestSlots()
    put, seen, replaced = 0, 0, 0
    waited: dict[str, int] = {}
    for number, step in enumerate(steps):
        if step is None:
            taken = slots.take(0)
            if taken is not None:
                seen += 1
                assert waited.pop(taken[1]) <= 2
                waited = {key: turns + 1 for key, turns in waited.items()}
        else:
            put += 1
            replaced += slots.put(step[0], (number, step[0])) is not None
            waited.setdefault(step[0], 0)
    assert put == seen + replaced + len(waited)


def test_a_producer_that_must_not_replace_waits_until_its_slot_is_free() -> None:
    slots: LatestSlots[int] = LatestSlots()
    assert slots.wait_free("a", 0)
    slots.put("a", 1)
    assert not slots.wait_free("a", 0)
    assert slots.wait_free("b", 0)
    taken: list[int | None] = []
    consumer = Worker("consumer", lambda _: taken.append(slots.take(60))).start()
    assert slots.wait_free("a", 60)
    assert consumer.stop(10)
    slots.put("a", 2)
    slots.discard("a")
    assert slots.wait_free("a", 0)
    slots.put("a", 3)
    slots.close()
    assert slots.wait_free("a", 0)


def test_what_waits_for_a_removed_camera_can_be_discarded() -> None:
    slots: LatestSlots[int] = LatestSlots()
    slots.put("a", 1)
    assert slots.is_waiting("a")
    assert slots.discard("a") == 1
    assert slots.discard("a") is None
    assert not slots.is_waiting("a")


def test_a_closed_slot_gives_back_what_is_offered_and_gives_out_what_waited() -> None:
    slots: LatestSlots[int] = LatestSlots()
    slots.put("a", 1)
    slots.close()
    assert slots.put("b", 2) == 2
    assert slots.take(0) == 1
    assert slots.take(60) is None


def test_a_waiting_consumer_wakes_for_an_item_and_for_the_end() -> None:
    slots: LatestSlots[int] = LatestSlots()
    taken: list[int | None] = []
    got_first = threading.Event()

    def consume(_: Worker) -> None:
        taken.append(slots.take(60))
        got_first.set()
        taken.append(slots.take(60))

    consumer = Worker("consumer", consume).start()
    slots.put("a", 1)
    assert got_first.wait(10)
    slots.close()
    assert consumer.stop(10)
    assert taken == [1, None]


def test_of_those_that_wait_the_lowest_rank_is_woken_and_the_next_by_another_item() -> None:
    slots: LatestSlots[str] = LatestSlots()
    ranks = [0, 1, 2]
    taken: dict[int, str | None] = {}

    def consume(_: Worker, rank: int) -> None:
        taken[rank] = slots.take(60, rank)

    # Begun in reverse, so that who has waited longest is not who is meant.
    threads = []
    for rank in reversed(ranks):
        threads.append(Worker(f"rank-{rank}", partial(consume, rank=rank)).start())
        wait_until(lambda: len(slots._idle) == len(threads), "a consumer waits")
    slots.put("a", "first")
    wait_until(lambda: taken == {0: "first"}, "the lowest rank has the first item")
    slots.put("b", "second")
    slots.put("c", "third")
    wait_until(lambda: taken.keys() == set(ranks), "each item has woken a consumer of its own")
    assert {taken[1], taken[2]} == {"second", "third"}
    assert all(thread.join(10) for thread in threads)


def test_items_that_come_together_replace_none_while_consumers_wait() -> None:
    """A busy device wakes a consumer later than the next frame comes."""
    slots: LatestSlots[int] = LatestSlots()
    taken: list[int | None] = []
    threads = [Worker(f"c{n}", lambda _: taken.append(slots.take(60))).start() for n in range(3)]
    wait_until(lambda: len(slots._idle) == len(threads), "all consumers wait")
    assert [slots.put("a", item) for item in range(3)] == [None] * 3
    assert not slots.is_waiting("a"), "each item has its consumer"
    assert slots.put("a", 3) is None
    assert slots.put("a", 4) == 3
    assert all(thread.join(10) for thread in threads)
    assert sorted(item for item in taken if item is not None) == [0, 1, 2]
    assert slots.take(0) == 4


def test_a_consumer_that_waits_in_vain_gets_nothing_and_takes_nothing_later() -> None:
    slots: LatestSlots[int] = LatestSlots()
    assert slots.take(0.001) is None
    assert slots.put("a", 1) is None
    assert slots.is_waiting("a")
    assert slots.take(0) == 1


def served(slots: LatestSlots[str], keys: str, turns: int) -> str:
    """Who is served while all of `keys` always have a frame waiting."""
    order = ""
    for _ in range(turns):
        for key in keys:
            slots.put(key, key)
        order += slots.take(0) or ""
    return order


def test_a_camera_of_twice_the_weight_gets_twice_the_turns() -> None:
    slots: LatestSlots[str] = LatestSlots()
    slots.weigh({"a": 2, "b": 1, "c": 1})
    order = served(slots, "abc", 400)
    assert [order.count(key) for key in "abc"] == [200, 100, 100]
    assert "aaa" not in order


def test_without_weights_turns_are_even() -> None:
    order = served(LatestSlots(), "abcd", 400)
    assert [order.count(key) for key in "abcd"] == [100] * 4


def test_a_camera_that_was_silent_has_saved_up_no_turns() -> None:
    slots: LatestSlots[str] = LatestSlots()
    served(slots, "ab", 1000)
    order = served(slots, "abc", 30)
    assert [order.count(key) for key in "abc"] == [10] * 3


def test_weights_that_change_act_from_the_next_turn_on() -> None:
    slots: LatestSlots[str] = LatestSlots()
    served(slots, "ab", 100)
    slots.weigh({"a": 3, "b": 1})
    order = served(slots, "ab", 400)
    assert abs(order.count("a") - 300) <= 3


def test_a_frame_that_waits_while_its_camera_is_removed_is_still_given_out() -> None:
    slots: LatestSlots[str] = LatestSlots()
    slots.weigh({"a": 1, "b": 1})
    slots.put("b", "b")
    slots.weigh({"a": 1})
    slots.put("a", "a")
    assert {slots.take(0), slots.take(0)} == {"a", "b"}
