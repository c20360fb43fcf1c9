"""`applyVerdict` on a module, through IoT Hub's REST API (2021-04-12).

A direct method, because it alone reaches a module and tells whether it arrived: cloud-to-device
messages go to devices only, and desired properties are settings, not messages.

IoT Hub answers with the module's own status inside a 200. What is worth trying again and what is
not stands in two tables below, one for the hub and one for the module. REST instead of the
service SDK: that one needs uamqp, which is archived and has no wheel for ARM.

Source: azure-rest-api-specs, iothub/data-plane; statuses measured with azure-iot-hub 2.7.0.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

from verifier.errors import (
    BackendBusy,
    BackendMisconfigured,
    BackendRefused,
    ReplyDeferred,
    ReplyForbidden,
    ReplyRefused,
)
from verifier.http import Credential, Service
from visionedge.wire import Verdict, Verdicts

API: Final = "2021-04-12"
_METHOD: Final = "applyVerdict"
_CONNECT_S: Final = 5
_RESPONSE_S: Final = 10
_GRACE_S: Final = 10
_AWAY: Final = frozenset({404, 408, 409, 429, 500, 502, 503, 504})
"""Statuses of the module's own answer that may be another the next time."""


@contextmanager
def as_reply_errors(*, absent: type[ReplyDeferred | ReplyRefused]) -> Iterator[None]:
    """What the hub's REST API refuses, as errors of a reply.

    Args:
        absent: What a 404 means to the caller.

    Raises:
        ReplyDeferred: Try again later.
        ReplyRefused: Never.
        ReplyForbidden: The credential may not; somebody must look.
    """
    try:
        yield
    except BackendBusy as error:
        raise ReplyDeferred(str(error), retry_after_s=error.retry_after_s) from None
    except BackendRefused as error:
        raise ReplyRefused(str(error)) from None
    except BackendMisconfigured as error:
        if str(error).startswith("HTTP 404"):
            raise absent(str(error)) from None
        raise ReplyForbidden(str(error), hint="give ServiceConnect or the role") from None


class IotHubReply:
    """Delivers verdicts by direct method. Safe for many threads.

    Args:
        endpoint: `https://name.azure-devices.net`.
        credential: Of a policy with ServiceConnect, or of an identity.
    """

    def __init__(self, endpoint: str, credential: Credential) -> None:
        self._service = Service(endpoint, credential)

    def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
        """Deliver verdicts; on return the module has them."""
        device, module = quote(device_id, safe=""), quote(module_id, safe="")
        payload = Verdicts(verdicts=list(verdicts)).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        call = {
            "methodName": _METHOD,
            "payload": payload,
            "responseTimeoutInSeconds": _RESPONSE_S,
            "connectTimeoutInSeconds": _CONNECT_S,
        }
        self._understand(self._call(f"/twins/{device}/modules/{module}/methods", call))

    def _call(self, path: str, call: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON gave
        # IoT Hub says 404 for a module that is away, as for one that does not exist.
        with as_reply_errors(absent=ReplyDeferred):
            answer = self._service.post(
                path,
                json.dumps(call, ensure_ascii=False).encode(),
                query={"api-version": API},
                content_type="application/json",
                timeout_s=_CONNECT_S + _RESPONSE_S + _GRACE_S,
            )
            return answer.json()

    def _understand(self, answer: Any) -> None:  # noqa: ANN401 - whatever JSON gave
        status = answer.get("status") if isinstance(answer, dict) else None
        if status == 200:
            return
        if status is None or status in _AWAY:
            raise ReplyDeferred(f"the module answers {status}")
        raise ReplyRefused(f"the module answers {status}: {str(answer.get('payload'))[:200]}")
