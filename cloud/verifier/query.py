"""A module that was away asks for verdicts that it may have missed: `verdict-query/1`.

It names what it sent and has no answer to, and costs a kilobyte where sending the pictures again
costs megabytes. What the ledger has a verdict for is delivered at once:

    verified     its pause ends; if another worker's courier had it, ours takes it over
    delivered    once more: the module says that it does not have it, and takes none twice

On all else there is nothing to say. What is claimed will be answered when it is verified, and what
is unknown never came: the module sends that again by itself when its own patience ends.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from verifier.admit import MAX_BODY_BYTES, Meta
from verifier.errors import PoisonMessage, StoreConflict
from verifier.ledger import Case, Held, Ledger, State
from visionedge.wire import InvalidMessage, VerdictQuery

_SCHEMA: Final = b'"verdict-query/'


def query_of(body: bytes) -> VerdictQuery | None:
    """The query in a message; None for a message of another schema.

    Raises:
        PoisonMessage: it is a query that cannot be read.
    """
    if _SCHEMA not in body[:MAX_BODY_BYTES]:
        return None
    try:
        message: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not str(message.get("schema")).startswith("verdict-query/"):
        return None
    if message["schema"] != VerdictQuery.model_fields["schema_name"].default:
        raise PoisonMessage(f"a {str(message['schema'])[:64]}", reason="unknown_schema")
    try:
        return VerdictQuery.read(message)
    except InvalidMessage as error:
        raise PoisonMessage(str(error), reason="bad_field") from None


def answer(
    query: VerdictQuery, meta: Meta, ledger: Ledger, deliver: Callable[[Held], None], now: datetime
) -> int:
    """Deliver what there is for the module that asks, and for no other; returns how much."""
    found = 0
    for id_ in query.escalation_ids:
        held = ledger.find(Case(meta.device_id, meta.module_id, id_, expires_at=now))
        if held is None or held.entry.verdict is None or held.entry.expires_at <= now:
            continue
        if held.entry.state is State.VERIFIED and not ledger.is_mine(held.entry):
            try:
                held = ledger.lease(held)
            except StoreConflict:
                continue  # It has just been delivered.
        if held.entry.state in (State.VERIFIED, State.DELIVERED):
            deliver(held)
            found += 1
    return found
