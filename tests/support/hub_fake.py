"""A hub in memory: a whole `HubClient`, with the cloud's side of it beside.

It keeps the contract of `visionedge.uplink.hub` and nothing of a wire, so it is what tests of
the sender, the control thread and the app run against; the conformance suite holds it to
the same behaviour as the others.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from devhub.twin import merge
from visionedge.entities import Envelope
from visionedge.errors import UplinkRejected, UplinkUnavailable
from visionedge.runtime.worker import Worker
from visionedge.uplink.hub import (
    DesiredDocument,
    DesiredPatch,
    HubEvent,
    LinkChanged,
    MethodAnswer,
    MethodCall,
    OnEvent,
)
from visionedge.uplink.limits import check_message, check_report


class FakeHub:
    """Takes everything, unless told not to. Safe for all threads."""

    def __init__(self) -> None:
        self.received: list[Envelope] = []
        self.reported: dict[str, Any] = {}
        self.desired: dict[str, Any] = {}
        self.version = 1
        self.poison: set[str] = set()
        self.refused: set[str] = set()
        """Ids of messages, and names of reported sections."""
        self.on_send: Callable[[Envelope], None] | None = None
        self._on_event: OnEvent | None = None
        self._up = True
        self._changed = threading.Condition()

    # The module's side.

    @property
    def workers(self) -> list[Worker]:
        return []

    def start(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        if self._up:
            self._connected()

    def send(self, envelope: Envelope) -> None:
        if self.on_send is not None:
            self.on_send(envelope)
        check_message(envelope)
        if envelope.id in self.refused:
            raise UplinkRejected("the hub does not take this")
        if not self._up or self._on_event is None or envelope.id in self.poison:
            raise UplinkUnavailable("the hub is away")
        with self._changed:
            self.received.append(envelope)
            self._changed.notify_all()

    def report(self, patch: Mapping[str, Any]) -> None:
        check_report(patch)
        if not self._up or self._on_event is None:
            raise UplinkUnavailable("the hub is away")
        if self.refused & patch.keys():
            raise UplinkRejected("the hub does not take this")
        with self._changed:
            self.reported = merge(self.reported, dict(patch))
            self._changed.notify_all()

    def refresh_twin(self) -> None:
        if self._up and self._on_event is not None:
            self._on_event(DesiredDocument(dict(self.desired), self.version))

    def close(self, timeout_s: float) -> None:
        self._on_event = None

    # The cloud's side.

    def cut(self) -> None:
        self._up = False
        if self._on_event is not None:
            self._on_event(LinkChanged(connected=False))

    def restore(self) -> None:
        self._up = True
        if self._on_event is not None:
            self._connected()

    def patch_desired(self, changes: Mapping[str, Any]) -> None:
        self.desired = merge(self.desired, dict(changes))
        self.version += 1
        if self._up and self._on_event is not None:
            self._on_event(DesiredPatch(dict(changes), self.version))

    def offer(self, event: HubEvent) -> None:
        """Tell the module of anything, as the SDK's threads would."""
        if self._on_event is not None:
            self._on_event(event)

    def invoke(self, name: str, payload: object, timeout_s: float = 10) -> MethodAnswer:
        if not self._up or self._on_event is None:
            return MethodAnswer(404, {"error": "the module is not connected"})
        call = MethodCall(name, payload)
        self._on_event(call)
        return call.wait(timeout_s)

    def ids(self) -> list[str]:
        with self._changed:
            return [envelope.id for envelope in self.received]

    def wait(self, predicate: Callable[[], bool], timeout_s: float = 10) -> bool:
        """True once `predicate` holds; looked at after every message and report."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout_s)

    def _connected(self) -> None:
        assert self._on_event is not None
        self._on_event(LinkChanged(connected=True))
        self._on_event(DesiredDocument(dict(self.desired), self.version))
