"""Doubts that wait for their best view, bounded, the most valuable kept.

Between the decision, which must never wait, and the snapshot, which takes about as long
as an inference. A question waits here until it is due, and is replaced by every frame that
shows its objects better. When doubt comes faster than it can be encoded, first come first
served would keep whatever came first; this keeps what is worth most.
"""

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

from visionedge.entities import Question
from visionedge.runtime.clock import Clock, SystemClock

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    question: Question
    number: int
    item: T


class Views(Generic[T]):
    """One item a question, the best view of it. Safe for many threads.

    Args:
        capacity: questions that may wait.
        clock: says what is due.
    """

    def __init__(self, capacity: int, clock: Clock | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._capacity = capacity
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting[T]] = {}
        self._number = 0
        self._closed = False

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting)

    def open(self, question: Question, item: T) -> T | None:
        """Add a question without waiting; whatever had to go for it is returned."""
        with self._changed:
            if self._closed:
                return item
            self._number += 1
            self._waiting[question.id] = _Waiting(question, self._number, item)
            self._changed.notify()
            if len(self._waiting) <= self._capacity:
                return None
            least = min(self._waiting.values(), key=lambda w: (w.question.value, -w.number))
            del self._waiting[least.question.id]
            return least.item

    def improve(self, question: Question, item: T) -> bool:
        """Replace the view of a question that still waits, if this one is better."""
        with self._changed:
            waiting = self._waiting.get(question.id)
            if waiting is None or question.view <= waiting.question.view:
                return False
            waiting.question, waiting.item = question, item
            return True

    def take(self, timeout_s: float) -> T | None:
        """The most valuable question that is due, or None when none was in time."""
        deadline_ns = self._clock.ns() + round(timeout_s * 1e9)
        with self._changed:
            while True:
                now_ns = self._clock.ns()
                due = [
                    w for w in self._waiting.values() if self._closed or w.question.due_ns <= now_ns
                ]
                if due:
                    best = max(due, key=lambda w: (w.question.value, -w.number))
                    del self._waiting[best.question.id]
                    return best.item
                if now_ns >= deadline_ns or self._closed:
                    return None
                until_ns = min([deadline_ns, *(w.question.due_ns for w in self._waiting.values())])
                self._changed.wait(max(0.001, (until_ns - now_ns) / 1e9))

    def close(self) -> None:
        """Take no more questions; those that wait are due at once and can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
