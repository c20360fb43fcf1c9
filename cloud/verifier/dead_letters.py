"""Messages that can never be answered, set aside with the reason, so that none blocks the rest.

The key follows from the day and the body: a message that is read twice is set aside once. What
is kept is the message itself and where it stood, so that it can be looked into and, after a
mend, sent again. Pictures of people may be among them: give the `dead/` prefix a lifecycle rule
and the readers that the pictures themselves would have.
"""

import base64
import hashlib
import json
from contextlib import suppress
from typing import Final

from verifier.admit import MAX_BODY_BYTES, Meta
from verifier.clock import Clock
from verifier.errors import StoreConflict
from verifier.stores.store import Store

_PREFIX: Final = "dead/"
_MAX_DETAIL: Final = 2000


class DeadLetters:
    """Sets messages aside. Safe for threads and workers."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def put(self, body: bytes, meta: Meta, reason: str, detail: str) -> str:
        """Set one message aside and return its key."""
        now = self._clock.utc()
        digest = hashlib.sha256(body).hexdigest()[:32]
        key = f"{_PREFIX}{now:%Y/%m/%d}/{reason}/{digest}.json"
        letter = {
            "reason": reason,
            "detail": detail[:_MAX_DETAIL],
            "device_id": meta.device_id,
            "module_id": meta.module_id,
            "position": meta.position,
            "set_aside_at": now.isoformat(),
            "size_bytes": len(body),
            "body": base64.b64encode(body[:MAX_BODY_BYTES]).decode("ascii"),
        }
        with suppress(StoreConflict):
            self._store.create(key, json.dumps(letter).encode())
        return key
