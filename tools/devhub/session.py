"""What edgeHub remembers of a module between its connections.

A session outlives the link (clean_session=False): the subscriptions, and the input messages that
the module has not acknowledged. Twin pushes and method calls are for the moment only: whoever is
not there misses them, and a module must read its twin when it comes back.
"""

from collections import deque
from dataclasses import replace

from devhub.packets import Publish
from devhub.topics import matches

_MAX_PACKET_ID = 65535
MAX_STORED_INPUTS = 1000


class Session:
    """Subscriptions and undelivered input messages of one client id."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, int] = {}
        self._stored: deque[Publish] = deque(maxlen=MAX_STORED_INPUTS)
        self._in_flight: dict[int, Publish] = {}
        self._last_id = 0

    @property
    def undelivered(self) -> int:
        """Input messages that the module has not acknowledged."""
        return len(self._stored) + len(self._in_flight)

    def takes(self, topic: str) -> int | None:
        """The QoS granted for a topic, or None when no subscription takes it."""
        granted = [qos for name, qos in self.subscriptions.items() if matches(name, topic)]
        return max(granted, default=None)

    def next_id(self) -> int:
        """A packet id that no message in flight uses."""
        while True:
            self._last_id = self._last_id % _MAX_PACKET_ID + 1
            if self._last_id not in self._in_flight:
                return self._last_id

    def store(self, message: Publish) -> None:
        """Keeps an input message until it is acknowledged; the oldest falls out when full."""
        self._stored.append(message)

    def release(self) -> list[Publish]:
        """The stored messages that may go out now; they are in flight until `acknowledge`."""
        if not self._stored or self.takes(self._stored[0].topic) is None:
            return []
        released = []
        while self._stored:
            packet_id = self.next_id()
            message = replace(self._stored.popleft(), qos=1, packet_id=packet_id)
            self._in_flight[packet_id] = message
            released.append(message)
        return released

    def acknowledge(self, packet_id: int) -> None:
        """The client has a message; unknown ids belong to pushes that are not stored."""
        self._in_flight.pop(packet_id, None)

    def suspend(self) -> None:
        """The link ended: what was in flight is stored again, to go out marked as a duplicate."""
        again = [replace(message, dup=True) for message in self._in_flight.values()]
        self._in_flight.clear()
        self._stored.extendleft(reversed(again))
