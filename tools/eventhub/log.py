"""A partition: events in the order they came, each under an offset and a number.

An offset is opaque to whoever reads: here it counts bytes, as that of Event Hubs does, so that
a reader which counts with it is found out. Old events go when there are too many.
"""

import datetime as dt
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_POSITION: Final = re.compile(
    r"amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=?)\s*'([^']*)'"
)
_LATEST: Final = "@latest"
_BEFORE_ALL: Final = "-1"


class BadPosition(ValueError):
    """The filter of a link names no place to begin at."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is sent to an event hub.

    Attributes:
        body: As it came.
        properties: The application's.
        system: Annotations that the sender's service stamps on it, such as IoT Hub's.
        message_id: Of the sender, or "".
        key: Events of one key go to one partition.
    """

    body: bytes = field(repr=False)
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str | dt.datetime] = field(default_factory=dict)
    message_id: str = ""
    content_type: str = ""
    content_encoding: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event with its place."""

    event: Event
    partition: str
    sequence: int
    offset: str
    enqueued_at: dt.datetime


class Partition:
    """One partition's log; for one thread.

    Args:
        id_: Its name, `0`, `1` and so on.
        keep: How many events stay.
    """

    def __init__(self, id_: str, keep: int) -> None:
        self.id = id_
        self._events: deque[Stored] = deque(maxlen=keep)
        self._next_sequence = 0
        self._next_offset = 0

    def append(self, event: Event, now: dt.datetime) -> Stored:
        """Put an event at the end."""
        stored = Stored(event, self.id, self._next_sequence, str(self._next_offset), now)
        self._next_sequence += 1
        self._next_offset += len(event.body) + 64
        self._events.append(stored)
        return stored

    @property
    def first_sequence(self) -> int:
        """Of the oldest event that is kept; that of the next one where none is."""
        return self._events[0].sequence if self._events else self._next_sequence

    @property
    def last(self) -> Stored | None:
        """The newest event."""
        return self._events[-1] if self._events else None

    @property
    def end(self) -> int:
        """The sequence number that the next event gets."""
        return self._next_sequence

    def after(self, sequence: int) -> Iterator[Stored]:
        """Events from this sequence number on."""
        for stored in list(self._events):
            if stored.sequence >= sequence:
                yield stored

    def find(self, selector: str) -> int:
        """The sequence number at which a reader begins.

        Args:
            selector: As the SDK writes it, such as `amqp.annotation.x-opt-offset > '128'`.

        Raises:
            BadPosition: It is no such thing.
        """
        found = _POSITION.fullmatch(selector.strip())
        if found is None:
            raise BadPosition(f"no position: {selector!r}")
        what, compared, value = found.groups()
        if value == _LATEST:
            return self._next_sequence
        if what == "offset" and value == _BEFORE_ALL:
            return self.first_sequence
        try:
            wanted = _number(value, what)
        except ValueError:
            raise BadPosition(f"no number: {value!r}") from None
        for stored in self._events:
            place = _place(stored, what)
            if place > wanted or (place == wanted and compared == ">="):
                return stored.sequence
        return self._next_sequence


def _number(value: str, what: str) -> int:
    if what == "offset" and not value.isdecimal():
        raise ValueError(value)
    return int(value)


def _place(stored: Stored, what: str) -> int:
    if what == "offset":
        return int(stored.offset)
    if what == "sequence-number":
        return stored.sequence
    return int(stored.enqueued_at.timestamp() * 1000)
