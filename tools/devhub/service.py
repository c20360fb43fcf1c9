"""The hub's service side: direct methods and twin patches over IoT Hub's REST API.

TLS and shared access signatures as the real one wants them, of a policy with ServiceConnect. What
it answers is what IoT Hub does: the module's own status inside a 200, 404 for a module that is
not connected, 504 for one that gives no answer in time, 401 for a token that is not good.

Source: azure-rest-api-specs, iothub/data-plane, 2021-04-12.
"""

import base64
import datetime as dt
import json
import re
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from devhub.authority import Authority
from devhub.errors import MethodTimeout, ModuleNotConnected
from devhub.https import Answer, HttpsServer, Request
from devhub.hub import DevHub
from devhub.opened import Opened
from devhub.sas import SasRefused, parse, verify

_MODULE: Final = re.compile(r"/twins/([^/]+)/modules/([^/]+?)(/methods)?")
_POLICY: Final = "service"
_MOST_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """A direct method that was called through the service side.

    Attributes:
        status: Of the answer over HTTP: 200, 404, 504.
        answer: What the module answered, or None.
    """

    method: str
    payload: Any
    began_at: dt.datetime
    ended_at: dt.datetime
    status: int
    answer: Any


class ServiceSide(Opened):
    """Serves a started hub's modules to back ends, in a `with` block.

    Args:
        hub: Whose modules.
        authority: Signs the certificate; not the hub's own, which modules trust.
        on_call: Told of each direct method once it is answered, in the request's thread.
    """

    def __init__(
        self,
        hub: DevHub,
        authority: Authority,
        on_call: Callable[[ServiceCall], None] = lambda call: None,
    ) -> None:
        self._hub = hub
        self._on_call = on_call
        self._key = secrets.token_bytes(32)
        self._server = HttpsServer(hub.address, authority, self._handle)

    def _open(self, undo: ExitStack) -> None:
        undo.enter_context(self._server)

    @property
    def connection_string(self) -> str:
        """Of the policy that back ends use."""
        key = base64.b64encode(self._key).decode("ascii")
        return f"HostName={self._server.host};SharedAccessKeyName={_POLICY};SharedAccessKey={key}"

    def _handle(self, request: Request) -> Answer:
        try:
            shown = parse(request.headers.get("authorization", "").encode("utf-8"))
            verify(shown, self._key, self._server.host, time.time())
        except SasRefused as error:
            return _refused(401, "IotHubUnauthorizedAccess", str(error))
        named = _MODULE.fullmatch(request.path)
        if named is None or unquote(named[1]) != self._hub.device_id:
            return _refused(404, "DeviceNotFound", "no such device")
        module_id = unquote(named[2])
        if module_id not in self._hub.status()["modules"]:
            return _refused(404, "ModuleNotFound", "no such module")
        try:
            body = json.loads(request.body or b"null")
            if request.method == "POST" and named[3]:
                return self._call(module_id, body)
            if request.method == "PATCH" and not named[3]:
                self._hub.patch_desired(body["properties"]["desired"], module_id)
            names = {"deviceId": self._hub.device_id, "moduleId": module_id}
            return _json(200, {**names, "properties": self._hub.twin(module_id)})
        except (ValueError, KeyError, TypeError) as error:
            return _refused(400, "ArgumentInvalid", f"{type(error).__name__}: {error}")

    def _call(self, module_id: str, body: dict[str, Any]) -> Answer:
        method, payload = body["methodName"], body.get("payload")
        began_at = dt.datetime.now(dt.UTC)
        answered: Any = None
        try:
            timeout_s = min(_MOST_S, float(body.get("responseTimeoutInSeconds", 30)))
            response = self._hub.invoke_method(method, payload, timeout_s, module_id)
        except ModuleNotConnected:
            answer = _refused(404, "DeviceNotOnline", "the module is not connected")
        except MethodTimeout:
            answer = _refused(504, "GatewayTimeout", "the module did not answer in time")
        else:
            answered = response.payload
            answer = _json(200, {"status": response.status, "payload": answered})
        ended_at = dt.datetime.now(dt.UTC)
        call = ServiceCall(method, payload, began_at, ended_at, answer.status, answered)
        self._on_call(call)
        return answer


def _json(status: int, document: object) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


def _refused(status: int, code: str, message: str) -> Answer:
    return _json(status, {"Message": f"ErrorCode:{code};{message}"})
