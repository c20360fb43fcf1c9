"""What happened to each escalation and when, told by those who saw it.

The device side, the event hub, the ledger and the hub's service side each see a part of the way.
All run on one machine, so their clocks agree, and the times can stand in one line.
"""

import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from verifier.ledger import State


class Step(StrEnum):
    """The way of an escalation, in its order."""

    CAPTURED = "captured"
    SPOOLED = "spooled"
    SENT = "sent"
    RECEIVED = "received"
    CLAIMED = "claimed"
    VERIFIED = "verified"
    DELIVERED = "delivered"
    MERGED = "merged"


@dataclass(slots=True)
class Story:
    """One escalation.

    Attributes:
        at: When it came to each step for the first time.
        copies: How often a worker was handed it.
        paid: Calls that the Vision API charged for its picture.
        results: What the module answered to its verdict, counted.
        state: As the ledger has it; empty where the ledger does not know it.
        origin: Who made it: the line, or a fault of this loop.
    """

    id: str
    origin: str
    at: dict[Step, dt.datetime] = field(default_factory=dict)
    copies: int = 0
    paid: int = 0
    results: Counter[str] = field(default_factory=Counter)
    state: str = ""
    reason: str = ""

    @property
    def is_ended(self) -> bool:
        """The ledger has it at its end."""
        return bool(self.state) and State(self.state).is_terminal

    def reach(self, step: Step, when: dt.datetime) -> None:
        """It came here; only the first time counts."""
        self.at.setdefault(step, when)


class Journal:
    """All stories, in the order they began. Safe for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stories: dict[str, Story] = {}
        self._of_picture: dict[str, list[Story]] = {}

    def begin(self, id_: str, origin: str, picture: str, at: dict[Step, dt.datetime]) -> bool:
        """An escalation is on its way; False if it was known already."""
        with self._lock:
            if id_ in self._stories:
                return False
            story = self._stories[id_] = Story(id_, origin, dict(at))
            self._of_picture.setdefault(picture, []).append(story)
            return True

    def handed(self, id_: str, when: dt.datetime) -> None:
        """A worker was given it."""
        with self._lock:
            if story := self._stories.get(id_):
                story.copies += 1
                story.reach(Step.RECEIVED, when)

    def charged(self, picture: str) -> None:
        """The Vision API charged for a picture, by its SHA-256.

        Two questions may be asked about one frame, so about one picture: one is paid first.
        """
        with self._lock:
            if stories := self._of_picture.get(picture):
                min(stories, key=lambda story: story.paid).paid += 1

    def stands(self, id_: str, state: str, reason: str, at: dict[Step, dt.datetime]) -> None:
        """What the ledger says of it."""
        with self._lock:
            if story := self._stories.get(id_):
                story.state, story.reason = state, reason
                for step, when in at.items():
                    story.at[step] = when

    def called(self, ids: Iterable[str], when: dt.datetime) -> None:
        """Its verdict came to the hub."""
        with self._lock:
            for id_ in ids:
                if story := self._stories.get(id_):
                    story.reach(Step.DELIVERED, when)

    def answered(self, id_: str, result: str, when: dt.datetime) -> None:
        """The module said what became of its verdict."""
        with self._lock:
            if story := self._stories.get(id_):
                story.results[result] += 1
                if result == "merged":
                    story.reach(Step.MERGED, when)

    def stories(self) -> list[Story]:
        """All of them; not to be changed."""
        with self._lock:
            return list(self._stories.values())
