"""What goes into the spool and comes out of it, as values: losses, totals, shares, states."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from visionedge.entities import Kind

SHARES: Final[Mapping[Kind, float]] = {
    Kind.ESCALATION: 0.94,
    Kind.TELEMETRY: 0.05,
    Kind.HEALTH: 0.01,
}
"""Part of the spool that belongs to each kind alone. No kind can push out another: a flood of
doubt must not cost the telemetry that would explain it, nor the other way round."""

CONTROL: Final = "control"
"""The `reason` of an escalation of the control sample."""
CONTROL_SHARE: Final = 0.1
"""Part of the escalations' share that doubt cannot take from the control sample. It is worth
little by its doubt, which is none, and is the only word about errors that are sure of
themselves: a long outage must not leave doubts alone to judge the model by."""

PRIORITY: Final = (Kind.HEALTH, Kind.ESCALATION, Kind.TELEMETRY)
"""What is sent first: health is small and wakes somebody, telemetry can wait."""


class Cause(enum.StrEnum):
    """Why a message was given up."""

    EVICTED = "evicted"
    """Its share of the spool was full of what was worth more."""
    EXPIRED = "expired"
    """It was worth nothing any more."""
    TOO_LARGE = "too_large"
    """No hub takes a message of this size."""
    REJECTED = "rejected"
    """The hub will never take it."""
    CORRUPT = "corrupt"
    """It was in a file that had to be set aside."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One message that was given up."""

    id: str
    kind: Kind
    cause: Cause
    size_bytes: int


class Settled(enum.StrEnum):
    """What became of a resolution."""

    FIRST = "first"
    """It settles its escalation; merge it. Said once for each escalation, ever."""
    DUPLICATE = "duplicate"
    """The escalation was settled before; merge nothing."""
    UNKNOWN = "unknown"
    """No such escalation: evicted, rejected, forgotten, or never ours; merge nothing."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An escalation that has no verdict yet.

    Attributes:
        id: of the envelope.
        created_at: UTC, as the wall clock was then.
        age_s: in lived seconds, which no clock jump changes.
        attempts: how often it was handed to the hub.
        size_bytes: of body and properties.
        note: what was put beside it, to settle it by, such as the local prediction.
    """

    id: str
    created_at: datetime
    age_s: float
    attempts: int
    size_bytes: int
    note: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """One escalation that was made lately, however it ended.

    Attributes:
        camera_id: whose it was.
        size_bytes: of body and properties.
        age_s: in lived seconds.
    """

    camera_id: str
    size_bytes: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of messages and their bytes."""

    messages: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What lies in the spool of one kind: `ready` waits to be sent, `sent` for its verdict."""

    ready: Tally = Tally()
    sent: Tally = Tally()

    @property
    def messages(self) -> int:
        """All of them."""
        return self.ready.messages + self.sent.messages

    @property
    def size_bytes(self) -> int:
        """Of all of them."""
        return self.ready.size_bytes + self.sent.size_bytes
