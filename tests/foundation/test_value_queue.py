"""The bounded queue of doubts: it keeps what is worth most."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.runtime.value_queue import ValueQueue
from visionedge.runtime.worker import Worker


@given(st.lists(st.floats(0, 1), max_size=40), st.integers(1, 10))
def test_the_most_valuable_stay_and_come_out_in_order(values: list[float], capacity: int) -> None:
    queue: ValueQueue[tuple[float, int]] = ValueQueue(capacity)
    items = [(value, number) for number, value in enumerate(values)]
    given_up = [out for item in items if (out := queue.put(item[0], item)) is not None]
    taken = [queue.take(0) for _ in range(len(queue))]
    best = sorted(items, key=lambda item: (-item[0], item[1]))
    assert taken == best[:capacity]
    assert sorted(given_up) == sorted(best[capacity:])
    assert queue.take(0) is None


def test_items_are_never_compared_with_each_other() -> None:
    queue: ValueQueue[object] = ValueQueue(2)
    dropped = [queue.put(0.5, object()) for _ in range(5)]
    assert sum(item is not None for item in dropped) == 3


def test_a_closed_queue_gives_back_what_is_offered_and_gives_out_what_waited() -> None:
    queue: ValueQueue[str] = ValueQueue(2)
    queue.put(0.1, "a")
    queue.close()
    assert queue.put(1.0, "b") == "b"
    assert queue.take(0) == "a"
    assert queue.take(60) is None


def test_a_waiting_consumer_wakes_for_an_item() -> None:
    queue: ValueQueue[str] = ValueQueue(2)
    taken: list[str | None] = []
    consumer = Worker("consumer", lambda _: taken.append(queue.take(60))).start()
    queue.put(0.5, "a")
    assert consumer.stop(10)
    assert taken == ["a"]


def test_a_queue_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        ValueQueue(0)
