"""How verdicts get to a module: one call for many, and a word for each."""

from collections.abc import Sequence
from typing import Protocol

from visionedge.wire import Verdict


class Reply(Protocol):
    """Calls `applyVerdict` on a module."""

    def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
        """Deliver verdicts; on return the module has them, durably.

        Sending one twice does no harm: the module takes the first and says so.

        Raises:
            ReplyDeferred: the module is away, slow or throttled; all may be sent again.
            ReplyRefused: it will never take this call; sent one by one, some may pass.
            ReplyForbidden: the hub refuses us.
        """
