"""The way back through IoT Hub's REST API, held against the service SDK where it can be had."""

import importlib
import json
import warnings
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from tests.support.cloud import START, PlayedClock
from tests.support.vision_stub import Reply, serving
from tests.verifier.test_oracles import told

from verifier.compose import verdict_id
from verifier.errors import (
    ReplyDeferred,
    ReplyError,
    ReplyForbidden,
    ReplyRefused,
    SettingsRefused,
)
from verifier.identity import IOT_HUB, token
from verifier.reply.iot_hub import IotHubReply
from verifier.reply.service_sas import ConnectionString, signature, signed_by
from visionedge.wire import Verdict, VerifierBody

STRING = "HostName=h.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey=c2VjcmV0IQ=="
MERGED = {"status": 200, "payload": {"results": [{"escalation_id": "a", "status": "merged"}]}}


def verdict(id_: str = "a") -> Verdict:
    return Verdict(
        verdict_id=verdict_id(id_),
        escalation_id=id_,
        verified_at=START,
        verifier=VerifierBody(name="ia40"),
    )


def send(reply: Reply, device: str = "line 1/a", module: str = "vision#edge") -> list[Any]:
    with serving(reply) as stub:
        hub = IotHubReply(stub.endpoint, lambda: {"Authorization": "SharedAccessSignature x"})
        try:
            hub.send(device, module, [verdict("a"), verdict("b")])
        finally:
            assert len(stub.requests) == 1, "no retry but the courier's"
        return stub.requests


def service_sdk(name: str) -> Any:  # noqa: ANN401 - the SDK's
    """A module of the service SDK, which needs uamqp."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(f"azure.iot.hub.{name}")
        except ImportError:
            pytest.skip("azure-iot-hub is not installed: it has no wheel for this machine")


def test_verdicts_go_as_one_direct_method() -> None:
    (request,) = send(Reply(200, MERGED))
    assert request.path == "/twins/line%201%2Fa/modules/vision%23edge/methods"
    call = json.loads(request.body)
    assert call["methodName"] == "applyVerdict"
    assert [v["escalation_id"] for v in call["payload"]["verdicts"]] == ["a", "b"]
    assert call["payload"]["verdicts"][0]["schema"] == "verdict/1"


def test_the_method_is_called_as_the_service_sdk_calls_it() -> None:
    (ours,) = send(Reply(200, MERGED))
    call = json.loads(ours.body)
    protocol = service_sdk("protocol.iot_hub_gateway_service_ap_is")
    models = service_sdk("protocol.models")
    authentication = importlib.import_module("msrest.authentication")
    method = models.CloudToDeviceMethod(
        method_name="applyVerdict",
        payload=call["payload"],
        response_timeout_in_seconds=10,
        connect_timeout_in_seconds=5,
    )
    with serving(Reply(200, MERGED)) as stub, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = protocol.IotHubGatewayServiceAPIs(authentication.Authentication(), stub.endpoint)
        client.modules.invoke_method("line 1/a", "vision#edge", method)
        theirs = stub.requests[0]
    mine, sdks = told(ours), told(theirs)
    sdks["content_type"] = sdks["content_type"].partition(";")[0]
    assert json.loads(theirs.body) == call
    assert mine | {"body": 0} == sdks | {"body": 0}


def test_the_signature_is_that_of_the_service_sdk() -> None:
    sdk = service_sdk("sastoken")
    for ttl_s in range(3600, 3700):
        theirs = sdk.SasToken("h.azure-devices.net", "c2VjcmV0IQ==", "service", ttl_s)
        expires_at_s = int(theirs.expiry_time)
        ours = signature("h.azure-devices.net", "service", "c2VjcmV0IQ==", expires_at_s)
        assert ours == str(theirs)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(404, {"Message": "ErrorCode:DeviceNotOnline"}), ReplyDeferred),
        (Reply(504, {"Message": "ErrorCode:GatewayTimeout"}), ReplyDeferred),
        (Reply(429, {}, {"Retry-After": "9"}), ReplyDeferred),
        (Reply(500), ReplyDeferred),
        (Reply(503), ReplyDeferred),
        (Reply(401), ReplyForbidden),
        (Reply(403), ReplyForbidden),
        (Reply(400), ReplyRefused),
        (Reply(413), ReplyRefused),
        (Reply(200, b"<html>"), ReplyDeferred),
        (Reply(200, []), ReplyDeferred),
        (Reply(200, {"status": 503, "payload": {"error": "spool"}}), ReplyDeferred),
        (Reply(200, {"status": 404, "payload": {"error": "no method"}}), ReplyDeferred),
        (Reply(200, {"status": 400, "payload": {"fields": {}}}), ReplyRefused),
    ],
)
def test_each_answer_is_tried_again_or_not(reply: Reply, error: type[ReplyError]) -> None:
    with pytest.raises(error) as caught:
        send(reply)
    if isinstance(caught.value, ReplyDeferred) and reply.status == 429:
        assert caught.value.retry_after_s == 9


def test_a_hub_that_is_not_there_is_tried_again() -> None:
    with serving(Reply()) as stub:
        hub = IotHubReply(stub.endpoint, dict)
    with pytest.raises(ReplyDeferred):
        hub.send("line-1", "visionedge", [verdict()])


class Tokens:
    """A source of tokens, or of the error that it has none."""

    def __init__(self, *, fails: bool = False) -> None:
        self.scopes: list[str] = []
        self._fails = fails

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        if self._fails:
            raise ClientAuthenticationError("no identity")
        return AccessToken("t0ken", 2**31)


def test_an_identity_is_enough() -> None:
    tokens = Tokens()
    with serving(Reply(200, MERGED)) as stub:
        IotHubReply(stub.endpoint, token(IOT_HUB, tokens)).send("l", "m", [verdict()])
    assert stub.requests[0].headers["Authorization"] == "Bearer t0ken"
    assert tokens.scopes == ["https://iothubs.azure.net/.default"]


def test_without_an_identity_nothing_is_sent_and_the_worker_stops() -> None:
    with serving(Reply(200, MERGED)) as stub:
        hub = IotHubReply(stub.endpoint, token(IOT_HUB, Tokens(fails=True)))
        with pytest.raises(ReplyForbidden, match="no token"):
            hub.send("l", "m", [verdict()])
    assert stub.requests == []


def test_a_connection_string_is_read_and_its_key_never_shown() -> None:
    string = ConnectionString.parse(STRING)
    assert (string.host, string.policy) == ("h.azure-devices.net", "service")
    assert "c2VjcmV0" not in repr(string)
    header = signed_by(string, PlayedClock())()["Authorization"]
    assert f"se={int(START.timestamp()) + 3600}" in header


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "HostName"),
        (STRING.replace("SharedAccessKeyName", "Name"), "SharedAccessKeyName"),
        (STRING.replace("c2VjcmV0IQ==", "%%%"), "base64"),
    ],
)
def test_a_bad_connection_string_is_refused_by_its_part(text: str, missing: str) -> None:
    with pytest.raises(SettingsRefused, match=missing) as caught:
        ConnectionString.parse(text)
    assert "c2VjcmV0" not in str(caught.value)
