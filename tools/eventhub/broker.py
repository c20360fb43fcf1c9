"""The event hub itself: partitions, and who reads them; it knows no protocol.

A reader with an epoch has its partition to itself within its consumer group. A later one of the
same or a higher epoch takes the partition over, and one of a lower epoch, or of none, is refused.
That is what keeps two workers from reading one partition while ownership moves between them.

Source: Microsoft Learn, "Features and terminology in Azure Event Hubs", exclusive receivers.
"""

import datetime as dt
import zlib
from collections.abc import Callable
from typing import Final, Protocol

from eventhub.log import Event, Partition, Stored

STOLEN: Final = "amqp:link:stolen"
TOO_MANY: Final = "amqp:resource-limit-exceeded"
_READERS_WITHOUT_EPOCH: Final = 5
Transferred = Callable[[Stored], None]


class ReaderRefused(Exception):
    """No link for this reader; `condition` is AMQP's name for the reason."""

    def __init__(self, condition: str, message: str) -> None:
        super().__init__(message)
        self.condition = condition


class Reader(Protocol):
    """A link to one partition."""

    group: str
    partition: Partition
    epoch: int | None

    def pump(self) -> None:
        """Send what the reader has room for."""

    def lose(self, condition: str, message: str) -> None:
        """End the link."""


class Broker:
    """One event hub; for one thread.

    Args:
        name: As clients address it.
        partitions: How many.
        keep: Events a partition keeps.
    """

    def __init__(self, name: str, partitions: int, keep: int) -> None:
        self.name = name
        self.created_at = dt.datetime.now(dt.UTC)
        self.partitions = {str(n): Partition(str(n), keep) for n in range(partitions)}
        self.transferred = 0
        self._readers: list[Reader] = []
        self._listeners: list[Transferred] = []
        self._turn = 0

    def append(self, event: Event) -> Stored:
        """Store an event in the partition of its key, or in the next one; readers get it."""
        if event.key:
            index = zlib.crc32(event.key.encode("utf-8")) % len(self.partitions)
        else:
            index = self._turn = (self._turn + 1) % len(self.partitions)
        stored = self.partitions[str(index)].append(event, dt.datetime.now(dt.UTC))
        for reader in list(self._readers):
            if reader.partition.id == stored.partition:
                reader.pump()
        return stored

    def attach(self, reader: Reader) -> None:
        """Let a reader in, in the place of those that it drives out.

        Raises:
            ReaderRefused: One with a higher epoch is there, or too many without one.
        """
        others = [r for r in self._readers if _meet(r, reader)]
        highest = max((r.epoch for r in others if r.epoch is not None), default=None)
        if highest is not None and (reader.epoch is None or reader.epoch < highest):
            raise ReaderRefused(STOLEN, f"a receiver with the higher epoch {highest} is there")
        if reader.epoch is None and len(others) >= _READERS_WITHOUT_EPOCH:
            raise ReaderRefused(TOO_MANY, f"{len(others)} receivers of this group are there")
        self._readers.append(reader)
        if reader.epoch is not None:
            for other in others:
                self.detach(other)
                other.lose(STOLEN, f"a receiver with epoch {reader.epoch} took the partition")

    def detach(self, reader: Reader) -> None:
        """A reader is gone."""
        if reader in self._readers:
            self._readers.remove(reader)

    def readers(self, group: str) -> dict[str, int]:
        """How many read each partition."""
        return {
            id_: sum(r.partition.id == id_ and r.group == group for r in self._readers)
            for id_ in self.partitions
        }

    def listen(self, listener: Transferred) -> None:
        """Call back for every event that is sent to a reader."""
        self._listeners.append(listener)

    def sent(self, stored: Stored) -> None:
        """A reader got an event."""
        self.transferred += 1
        for listener in self._listeners:
            listener(stored)


def _meet(one: Reader, other: Reader) -> bool:
    return one.group == other.group and one.partition.id == other.partition.id
