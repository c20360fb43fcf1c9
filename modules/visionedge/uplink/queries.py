"""What is asked when the hub is there again: which of our escalations have you answered?

A verifier whose call found the module away tries again after minutes; one whose answer was lost on
a disk that broke never does. A `verdict-query/1` names what is out without an answer, and costs
a kilobyte, where sending the pictures again would cost megabytes. Nothing hangs on it: what is
not answered to it is sent again when its time comes, as always.

It goes through the spool like every message, and leaves by the output `health`. What was sent a
moment ago is not asked about, and a link that flaps asks once an answer's time.
"""

from datetime import timedelta
from typing import Final

from visionedge.entities import Envelope, Kind, new_id
from visionedge.runtime.clock import Clock
from visionedge.uplink.spool import Spool
from visionedge.wire import VerdictQuery

_MOST: Final = 256
_YOUNG_S: Final = 10.0
"""An answer may well be on its way."""


class Queries:
    """Asks for verdicts that may have been missed. For the sender's thread."""

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._due_ns = clock.ns()

    def ask(self, answer_timeout_s: float) -> int:
        """Put a query into the spool if something is missing; returns about how many it asks.

        Raises:
            SpoolUnavailable: nothing was asked.
        """
        if self._clock.ns() < self._due_ns:
            return 0
        ids = self._spool.missing(min(_YOUNG_S, answer_timeout_s / 2), _MOST)
        if not ids:
            return 0
        self._due_ns = self._clock.ns() + round(answer_timeout_s * 1e9)
        now = self._clock.utc()
        query = VerdictQuery(
            schema="verdict-query/1", id=new_id(), created_at=now, escalation_ids=ids
        )
        self._spool.put(
            Envelope(
                id=query.id,
                kind=Kind.HEALTH,
                value=1.0,
                created_at=now,
                expires_at=now + timedelta(seconds=answer_timeout_s),
                properties={"schema": query.schema_name},
                body=query.encode(),
            )
        )
        return len(ids)
