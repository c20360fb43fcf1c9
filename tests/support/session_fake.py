"""A session in memory that fails as it is told, for the supervisor's tests."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from visionedge.entities import Envelope
from visionedge.errors import UplinkUnavailable
from visionedge.uplink.hub import DesiredDocument
from visionedge.uplink.session import Watch


class FakeSession:
    """One session. The test breaks it from outside, as the SDK's threads would."""

    def __init__(self, watch: Watch, world: "FakeWorld") -> None:
        self.watch = watch
        self.closed = False
        self._world = world
        self._connected = False

    @property
    def connected(self) -> bool:
        return self._connected

    def open(self) -> None:
        self._world.fail("open", self)
        self._connected = True

    def read_twin(self) -> DesiredDocument:
        self._world.note("twin")
        self._world.fail("twin", self)
        return DesiredDocument({"reads": self._world.count("twin")}, self._world.count("twin"))

    def send(self, envelope: Envelope) -> None:
        self._world.fail("send", self)

    def report(self, patch: Mapping[str, Any]) -> None:
        self._world.fail("report", self)

    def close(self, timeout_s: float) -> None:
        self.closed = True
        self._connected = False

    def link(self, connected: bool) -> None:
        """The link goes or comes, as the SDK tells it."""
        self._connected = connected
        self.watch.link_changed(self._world.now_ns())


class FakeWorld:
    """Makes sessions and remembers them.

    Attributes:
        sessions: all that were made.
        failures: what raises now: a function by the name of the call.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns
        self.sessions: list[FakeSession] = []
        self.failures: dict[str, Callable[[FakeSession], None]] = {}
        self._noted: list[str] = []
        self._changed = threading.Condition()

    def new_session(self, watch: Watch) -> FakeSession:
        session = FakeSession(watch, self)
        with self._changed:
            self.sessions.append(session)
            self._changed.notify_all()
        return session

    def fail(self, call: str, session: FakeSession) -> None:
        if failure := self.failures.get(call):
            failure(session)

    def note(self, what: str) -> None:
        with self._changed:
            self._noted.append(what)
            self._changed.notify_all()

    def count(self, what: str) -> int:
        return self._noted.count(what)

    def wait(self, predicate: Callable[[], bool], timeout_s: float = 10) -> None:
        """Return when it holds; looked at whenever a session is made or a twin read."""
        with self._changed:
            assert self._changed.wait_for(predicate, timeout_s), "it did not happen"


def unavailable(_: FakeSession) -> None:
    """A failure: not now."""
    raise UplinkUnavailable("not now")
