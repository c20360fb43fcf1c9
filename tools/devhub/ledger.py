"""What the hub took from its modules: the last messages whole, and a tally of all of them.

A demo runs for days and an escalation weighs 200 KB, so bodies are kept for the newest messages
only, bounded by count and by bytes. Counters live for ever. Of ids it keeps how often each was
seen, which is what an exactly-once claim is checked against; the oldest ids are forgotten beyond
a bound, and `ids_forgotten` tells it.

Written by the hub's loop and read from any thread, so everything is under one short lock.
"""

import datetime as dt
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """A message that a module sent to one of its outputs.

    Attributes:
        id: `message_id` of the sender, or "" if it gave none.
        output: The output's name, or "" if it gave none.
        body: The payload as it came.
        properties: The application's properties, decoded.
        dup: The sender marked it as sent before (MQTT DUP).
        size_bytes: Topic and payload, as edgeHub counts them.
        received_at: UTC.
        sequence: 1 for the first message that this hub took, and so on.
    """

    device_id: str
    module_id: str
    id: str
    output: str
    body: bytes = field(repr=False)
    properties: Mapping[str, str]
    content_type: str
    content_encoding: str
    correlation_id: str
    user_id: str
    expires_at: str
    dup: bool
    size_bytes: int
    received_at: dt.datetime
    sequence: int


@dataclass(slots=True)
class Tally:
    """Counts of one output since the hub started."""

    messages: int = 0
    body_bytes: int = 0
    size_bytes: int = 0
    marked_dup: int = 0


class MessageLedger:
    """A bounded memory of messages.

    Args:
        keep_messages: How many of the newest messages stay whole.
        keep_body_bytes: How many bytes of bodies these may hold together; the newest stays always.
        keep_ids: How many ids are remembered per output.
    """

    def __init__(self, keep_messages: int, keep_body_bytes: int, keep_ids: int) -> None:
        self._keep_messages = keep_messages
        self._keep_body_bytes = keep_body_bytes
        self._keep_ids = keep_ids
        self._lock = threading.Lock()
        self._kept: deque[DeviceMessage] = deque()
        self._kept_bytes = 0
        self._tallies: dict[str, Tally] = {}
        self._ids: dict[str, OrderedDict[str, int]] = {}
        self.ids_forgotten = 0

    def add(self, message: DeviceMessage) -> None:
        """Counts a message and keeps it for a while."""
        with self._lock:
            tally = self._tallies.setdefault(message.output, Tally())
            tally.messages += 1
            tally.body_bytes += len(message.body)
            tally.size_bytes += message.size_bytes
            tally.marked_dup += message.dup
            if message.id:
                self._count_id(message)
            self._kept.append(message)
            self._kept_bytes += len(message.body)
            self._forget_bodies()

    def _count_id(self, message: DeviceMessage) -> None:
        seen = self._ids.setdefault(message.output, OrderedDict())
        seen[message.id] = seen.get(message.id, 0) + 1
        if len(seen) > self._keep_ids:
            seen.popitem(last=False)
            self.ids_forgotten += 1

    def _forget_bodies(self) -> None:
        while len(self._kept) > max(1, self._keep_messages) or (
            self._kept_bytes > self._keep_body_bytes and len(self._kept) > 1
        ):
            self._kept_bytes -= len(self._kept.popleft().body)

    def messages(self, output: str | None, module_id: str | None) -> list[DeviceMessage]:
        """The messages still kept, oldest first, of one output or module if named."""
        with self._lock:
            kept = list(self._kept)
        return [
            message
            for message in kept
            if output in (None, message.output) and module_id in (None, message.module_id)
        ]

    def ids(self, output: str) -> dict[str, int]:
        """How often each message id came on an output; a 2 is a duplicate."""
        with self._lock:
            return dict(self._ids.get(output, {}))

    def tallies(self) -> dict[str, Tally]:
        """The counts of every output since the start."""
        with self._lock:
            return {
                output: Tally(each.messages, each.body_bytes, each.size_bytes, each.marked_dup)
                for output, each in self._tallies.items()
            }
