"""One message into the core, whatever it does: the only broad except of the cloud half.

A message that meets a bug of ours must not stop its partition, nor be lost: it is set aside with
the reason `bug` and its trace goes into the log. What the host itself must act on passes: a store
that is away, and a Vision API that refuses our key.
"""

import logging
import math
from typing import Final

from verifier.admit import Meta
from verifier.core import BUG, Core, Kind, Outcome
from verifier.errors import BackendMisconfigured, StoreUnavailable

log: Final = logging.getLogger(__name__)


def take(core: Core, body: bytes, meta: Meta, within_s: float = math.inf) -> Outcome:
    """Handle one message, as `Core.handle` does.

    Raises:
        BackendMisconfigured: stop, and wake somebody.
        StoreUnavailable: hand the same message in again later.
    """
    try:
        return core.handle(body, meta, within_s)
    except (BackendMisconfigured, StoreUnavailable):
        raise
    except Exception as error:
        log.exception("a bug met the message at %s of %s", meta.position, meta.device_id)
        # The core has done so already, unless the bug met it before the claim.
        core.dead_letters.put(body, meta, BUG, f"{type(error).__name__}: {error}")
        return Outcome(Kind.POISON, reason=BUG)
