"""Envelopes and resolutions with as little to say as a test needs."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from visionedge.entities import Envelope, Kind, Outcome, Resolution, new_id
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def envelope(
    kind: Kind = Kind.ESCALATION,
    *,
    id: str = "",
    value: float = 0.5,
    body: bytes = b'{"schema":"test/1"}',
    created_at: datetime = CREATED_AT,
    ttl_s: float = 3600,
    properties: dict[str, str] | None = None,
) -> Envelope:
    return Envelope(
        id=id or new_id(),
        kind=kind,
        value=value,
        created_at=created_at,
        expires_at=created_at + timedelta(seconds=ttl_s),
        body=body,
        properties=properties or {},
    )


def resolution(escalation_id: str, outcome: Outcome = Outcome.CONFIRMED) -> Resolution:
    return Resolution(escalation_id, outcome, CREATED_AT, verifier="test")


class OpenSpool(Protocol):
    """Opens the test's spool, closing it first where it is open: a restart."""

    def __call__(
        self,
        *,
        max_bytes: int = 10_000_000,
        max_age_s: float = 14 * 86_400,
        at: FakeClock | None = None,
    ) -> Spool: ...
