"""The hub's service side as IoT Hub's own service SDK finds it, over TLS."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import MethodResponse

from devhub import DevHub
from devhub.authority import Authority
from devhub.service import ServiceCall, ServiceSide


@pytest.fixture
def side(
    devhub: DevHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ServiceSide, list[ServiceCall]]]:
    """The service side, trusted by whoever uses requests, and the calls that it was told of."""
    authority = Authority()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(authority.certificate_pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    calls: list[ServiceCall] = []
    with ServiceSide(devhub, authority, calls.append) as served:
        yield served, calls


def registry(connection_string: str) -> Any:  # noqa: ANN401 - the SDK ships no types
    """The service SDK; it needs uamqp, which some machines have no wheel of."""
    iothub = pytest.importorskip("azure.iot.hub", reason="azure-iot-hub is not installed")
    return iothub.IoTHubRegistryManager.from_connection_string(connection_string)


def call(connection_string: str, module: str = "visionedge") -> Any:  # noqa: ANN401 - as above
    from azure.iot.hub.models import CloudToDeviceMethod

    method = CloudToDeviceMethod(
        method_name="applyVerdict",
        payload={"verdicts": [1]},
        response_timeout_in_seconds=1,
        connect_timeout_in_seconds=1,
    )
    return registry(connection_string).invoke_device_module_method("line-1", module, method)


def refusal(of: Callable[[], Any]) -> str:
    """The status that the SDK was refused with."""
    import msrest.exceptions

    with pytest.raises(msrest.exceptions.HttpOperationError) as caught:
        of()
    return str(caught.value.response.status_code)


pytestmark = pytest.mark.skipif(sys.version_info >= (3, 14), reason="uamqp has no wheel for it")


def test_a_method_reaches_the_module_and_its_answer_comes_back(
    devhub: DevHub,
    side: tuple[ServiceSide, list[ServiceCall]],
    new_client: Callable[..., Any],
) -> None:
    client = new_client()
    client.on_method_request_received = lambda request: client.send_method_response(
        MethodResponse.create_from_method_request(request, 201, {"got": request.payload})
    )
    devhub.wait(devhub.subscriptions)
    registry(side[0].connection_string)
    answer = call(side[0].connection_string)
    assert (answer.status, answer.payload) == (201, {"got": {"verdicts": [1]}})
    (told,) = side[1]
    assert (told.method, told.status, told.answer) == ("applyVerdict", 200, answer.payload)
    assert told.began_at <= told.ended_at


def test_a_module_that_is_away_is_404_and_one_that_is_silent_504(
    devhub: DevHub, side: tuple[ServiceSide, list[ServiceCall]], new_client: Callable[..., Any]
) -> None:
    string = side[0].connection_string
    registry(string)
    assert refusal(lambda: call(string)) == "404"
    assert refusal(lambda: call(string, module="another")) == "404"
    client = new_client()
    client.on_method_request_received = lambda request: None
    devhub.wait(devhub.subscriptions)
    assert refusal(lambda: call(string)) == "504"
    assert [told.status for told in side[1]] == [404, 504]


def test_a_key_of_somebody_else_is_refused(side: tuple[ServiceSide, list[ServiceCall]]) -> None:
    host = side[0].connection_string.partition(";")[0]
    wrong = f"{host};SharedAccessKeyName=service;SharedAccessKey=b3RoZXI="
    registry(wrong)
    assert refusal(lambda: call(wrong)) == "401"
    assert side[1] == []


def test_a_twin_is_read_and_patched(
    devhub: DevHub, side: tuple[ServiceSide, list[ServiceCall]]
) -> None:
    manager = registry(side[0].connection_string)
    from azure.iot.hub.models import Twin, TwinProperties

    patch = Twin(properties=TwinProperties(desired={"escalation": {"enabled": False}}))
    manager.update_module_twin("line-1", "visionedge", patch)
    assert devhub.desired == {"escalation": {"enabled": False}}
    twin = manager.get_module_twin("line-1", "visionedge")
    assert twin.properties.desired["escalation"] == {"enabled": False}
