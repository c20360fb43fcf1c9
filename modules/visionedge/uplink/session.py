"""The seam between the supervisor and the device SDK: one session with the hub.

A session is opened once, used, and closed for good; whoever supervises it makes a new one.
`Watch` goes the other way: what the session's threads saw.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from visionedge.entities import Envelope
from visionedge.uplink.hub import DesiredDocument, OnEvent


class Session(Protocol):
    """One connection from birth to death. Every call ends within a deadline of its own."""

    @property
    def connected(self) -> bool:
        """True while the hub is there."""

    def open(self) -> None:
        """Connect and subscribe.

        Raises:
            UplinkUnavailable, UplinkAuthFailed: it is not open; close it.
        """

    def read_twin(self) -> DesiredDocument:
        """The desired twin.

        Raises:
            UplinkUnavailable, UplinkAuthFailed: it could not be read.
        """

    def send(self, envelope: Envelope) -> None:
        """As `HubClient.send`."""

    def report(self, patch: Mapping[str, Any]) -> None:
        """As `HubClient.report`."""

    def close(self, timeout_s: float) -> None:
        """Let everything go, also after a failed `open`; may be called twice."""


@dataclass(slots=True)
class Watch:
    """What the threads of one session tell its supervisor. Safe for all threads.

    Attributes:
        on_event: where patches and methods go.
        attention: set when there is something to look at.
        cause: why the session is to be dropped, once somebody said so.
        detail: of that, for people.
        twin_wanted: the twin is to be read as soon as the link is up.
    """

    on_event: OnEvent
    attention: threading.Event = field(default_factory=threading.Event)
    cause: str | None = None
    detail: str = ""
    twin_wanted: bool = True
    _changes_ns: deque[int] = field(default_factory=lambda: deque(maxlen=256))

    def link_changed(self, now_ns: int) -> None:
        """The link came or went; which of both is read from the session."""
        self._changes_ns.append(now_ns)
        self.want_twin()

    def want_twin(self) -> None:
        """Read the twin again."""
        self.twin_wanted = True
        self.attention.set()

    def broken(self, cause: str, detail: str) -> None:
        """The session is of no more use; the first cause counts."""
        if self.cause is None:
            self.cause, self.detail = cause, detail
        self.attention.set()

    def changes_since(self, then_ns: int) -> int:
        """How often the link came or went."""
        return sum(change_ns >= then_ns for change_ns in list(self._changes_ns))


NewSession = Callable[[Watch], Session]
"""Makes a session that is not open yet, without blocking."""
