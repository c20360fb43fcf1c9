"""A call that is answered later: 202, an address to ask at, and asking there until it is done.

Document Intelligence and Content Understanding work so. The picture is paid for with the first
call; an address that is busy is therefore asked again until the deadline, and only then is the
whole call given up. The address must be the service's own: our key goes there.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from verifier.errors import BackendBusy, BackendMisconfigured, BackendRefused
from verifier.http import Answer, Service, reading, retry_after_s

_POLL_S: Final = 0.5
_MAX_POLL_S: Final = 5.0
_LEAST_POLL_S: Final = 0.2
_GONE: Final = ("HTTP 404", "HTTP 410")
_GOING_ON: Final = frozenset({"notstarted", "running"})


def result_of(
    service: Service,
    begun: Answer,
    until_s: float,
    pause: Callable[[float], None] = time.sleep,
) -> Mapping[str, Any]:
    """The finished operation's document, if it is done by `until_s` of monotonic time.

    Raises:
        BackendBusy: it is not done in time, is not known any more, or makes no sense.
        BackendRefused: it ended as failed.
    """
    with reading("the operation"):
        url = begun.headers["operation-location"]
    wait_s = retry_after_s(begun.headers)
    while (left_s := until_s - time.monotonic()) > 0:
        pause(min(left_s, _MAX_POLL_S, max(_LEAST_POLL_S, _POLL_S if wait_s is None else wait_s)))
        try:
            answer = service.call("GET", url, max(0.1, until_s - time.monotonic()))
        except BackendBusy as error:
            wait_s = error.retry_after_s
            continue
        except BackendMisconfigured as error:
            if str(error).startswith(_GONE):
                # The service took the picture, so its address and model are right.
                raise BackendBusy("the operation is gone") from None
            raise
        with reading("the operation"):
            document: Mapping[str, Any] = answer.json()
            status = str(document["status"]).lower()
        if status == "succeeded":
            return document
        if status not in _GOING_ON:
            raise BackendRefused(f"the operation {status[:40]}")
        wait_s = retry_after_s(answer.headers)
    raise BackendBusy("the operation is not done in time")
