"""The seam between the module and every kind of hub, and what comes in through it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from visionedge.entities import Envelope
from visionedge.runtime.worker import Worker


@dataclass(frozen=True, slots=True)
class DesiredDocument:
    """The whole desired twin, read on connecting and from time to time after."""

    properties: Mapping[str, Any]
    version: int | None
    """None where edgeHub has never been in sync with the cloud."""


@dataclass(frozen=True, slots=True)
class DesiredPatch:
    """A change of the desired twin; only of use on top of version - 1."""

    properties: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class MethodAnswer:
    """What a direct method returns: an HTTP-like status and a small JSON object."""

    status: int
    payload: Mapping[str, Any]


@dataclass(slots=True)
class MethodCall:
    """A direct method that waits for its answer. Answer it once; later answers are ignored."""

    name: str
    payload: Any
    _answered: threading.Event = field(default_factory=threading.Event)
    _answer: MethodAnswer | None = None

    def answer(self, status: int, payload: Mapping[str, Any]) -> None:
        """Give the answer."""
        if not self._answered.is_set():
            self._answer = MethodAnswer(status, payload)
            self._answered.set()

    def wait(self, timeout_s: float) -> MethodAnswer:
        """The answer, or 504 where none was given in time."""
        if self._answered.wait(timeout_s) and self._answer is not None:
            return self._answer
        return MethodAnswer(504, {"error": f"no answer within {timeout_s:g} s"})


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The client connected or lost its hub. Not the same as the cloud being reachable."""

    connected: bool


@dataclass(frozen=True, slots=True)
class InputMessage:
    """A message of another module of this device; acknowledged to edgeHub when it is told."""

    input: str
    body: bytes
    properties: Mapping[str, str]
    message_id: str = ""
    correlation_id: str = ""


HubEvent = DesiredDocument | DesiredPatch | MethodCall | LinkChanged | InputMessage
OnEvent = Callable[[HubEvent], None]
"""Called from the client's threads; must only queue the event and return."""


class HubClient(Protocol):
    """A hub. Safe for all threads; every call ends within its deadline."""

    @property
    def workers(self) -> list[Worker]:
        """Its threads, for the health check."""

    def start(self, on_event: OnEvent) -> None:
        """Begin to connect, and go on trying until `close`; returns at once."""

    def send(self, envelope: Envelope) -> None:
        """Hand one message over and wait for the hub's acknowledgement.

        Raises:
            UplinkUnavailable: not now. It may have arrived all the same: send it again
                later with the same id.
            UplinkRejected: this message can never be sent.
        """

    def report(self, patch: Mapping[str, Any]) -> None:
        """Merge `patch` into the reported twin and wait for the acknowledgement.

        Raises:
            UplinkUnavailable: not now; report the whole again later.
            UplinkRejected: the patch breaks a limit of the twin.
        """

    def refresh_twin(self) -> None:
        """Ask for a new `DesiredDocument`, because a patch was missed; returns at once.

        While the hub is away the wish is kept: connecting reads the document anyway.
        """

    def close(self, timeout_s: float) -> None:
        """End everything within `timeout_s`; what did not end is left to daemon threads."""
