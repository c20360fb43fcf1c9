"""Desired properties of a module, through IoT Hub's REST API (2021-04-12).

For settings only, and few of them: a hub takes 50 changes a second. `If-Match: *` writes over
whatever version there is, because one property is merged and no other is looked at.

Source: azure-rest-api-specs, iothub/data-plane, "Update module twin"; the service SDK is the oracle
in the tests.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from verifier.errors import ReplyRefused
from verifier.http import Credential, Service
from verifier.reply.iot_hub import API, as_reply_errors

_CALL_S: Final = 15.0


class IotHubTwins:
    """Changes twins. Safe for many threads.

    Args:
        endpoint: `https://name.azure-devices.net`.
        credential: Of a policy with ServiceConnect, or of an identity.
    """

    def __init__(self, endpoint: str, credential: Credential) -> None:
        self._service = Service(endpoint, credential)

    def patch(self, device_id: str, module_id: str, desired: Mapping[str, Any]) -> None:
        """Merge `desired` into the twin."""
        device, module = quote(device_id, safe=""), quote(module_id, safe="")
        with as_reply_errors(absent=ReplyRefused):
            self._service.call(
                "PATCH",
                f"{self._service.endpoint}/twins/{device}/modules/{module}?api-version={API}",
                _CALL_S,
                body=json.dumps({"properties": {"desired": desired}}).encode(),
                content_type="application/json",
                headers={"If-Match": '"*"'},
            )
