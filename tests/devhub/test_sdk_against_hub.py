"""The real, unpatched SDK talks to the hub as it would to edgeHub."""

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient, Message, MethodResponse
from azure.iot.device.common.pipeline.pipeline_stages_base import SasTokenStage
from azure.iot.device.exceptions import ClientError, ConnectionFailedError, CredentialError

from devhub import DevHub, MethodTimeout, ModuleNotConnected

NewClient = Callable[..., Any]
DEADLINE_S = 10


def answer_methods(client: Any) -> None:  # noqa: ANN401 - the SDK ships no types
    """Answers every method with status 200 and the payload it was given."""

    def answer(request: Any) -> None:  # noqa: ANN401
        response = MethodResponse.create_from_method_request(request, 200, {"got": request.payload})
        client.send_method_response(response)

    client.on_method_request_received = answer


def test_a_message_arrives_with_all_its_properties(devhub: DevHub, new_client: NewClient) -> None:
    message = Message(b"\x00\xffbody", "id-1", "utf-8", "application/json")
    message.correlation_id = "corr/1"
    message.user_id = "someone"
    message.custom_properties = {"a+b": "1 + 1 = 2 & 50 %", "größe": "5/8", "empty": ""}
    client = new_client()
    client.send_message_to_output(message, "escalation")
    (got,) = devhub.messages(output="escalation")
    assert (got.id, got.body, got.output) == ("id-1", b"\x00\xffbody", "escalation")
    assert (got.content_type, got.content_encoding) == ("application/json", "utf-8")
    assert (got.correlation_id, got.user_id) == ("corr/1", "someone")
    assert got.properties == {"a+b": "1 + 1 = 2 & 50 %", "größe": "5/8", "empty": ""}
    assert (got.device_id, got.module_id, got.dup) == ("line-1", "visionedge", False)
    assert devhub.messages(output="other") == []


def test_a_frame_of_240_kib_arrives_whole(devhub: DevHub, new_client: NewClient) -> None:
    body = bytes(range(256)) * 960
    new_client().send_message_to_output(Message(body, "big"), "escalation")
    assert devhub.messages()[0].body == body
    assert devhub.tallies()["escalation"].body_bytes == len(body)


def test_the_twin_is_read_and_reported(devhub: DevHub, new_client: NewClient) -> None:
    devhub.patch_desired({"threshold": 0.5})
    client = new_client()
    assert client.get_twin() == {
        "desired": {"threshold": 0.5, "$version": 2},
        "reported": {"$version": 1},
    }
    client.patch_twin_reported_properties({"state": {"fps": 30, "old": 1}})
    client.patch_twin_reported_properties({"state": {"old": None}})
    assert devhub.reported == {"state": {"fps": 30}}
    assert client.get_twin()["reported"] == {"state": {"fps": 30}, "$version": 3}


def test_a_bad_report_is_refused_and_changes_nothing(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    with pytest.raises(ClientError) as caught:
        client.patch_twin_reported_properties({"a.b": 1})
    assert "400" in str(caught.value.__cause__)
    assert devhub.reported == {}


def test_desired_changes_are_pushed_once_subscribed(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client(ensure_desired_properties=False)
    client.connect()
    devhub.patch_desired({"missed": True})
    patches: queue.Queue[dict[str, Any]] = queue.Queue()
    client.on_twin_desired_properties_patch_received = patches.put
    assert devhub.patch_desired({"a": {"b": 1}}) == 3
    assert patches.get(timeout=DEADLINE_S) == {"a": {"b": 1}, "$version": 3}
    devhub.replace_desired({"a": {"c": 2}})
    assert patches.get(timeout=DEADLINE_S) == {
        "missed": None,
        "a": {"b": None, "c": 2},
        "$version": 4,
    }
    assert devhub.desired == {"a": {"c": 2}}


def test_a_method_is_called_and_answered(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    answer_methods(client)
    response = devhub.invoke_method("doThis", {"a": [1, None]})
    assert (response.status, response.payload) == (200, {"got": {"a": [1, None]}})


def test_a_method_needs_a_module_that_takes_methods(devhub: DevHub, new_client: NewClient) -> None:
    with pytest.raises(ModuleNotConnected):
        devhub.invoke_method("doThis")
    new_client().connect()
    with pytest.raises(ModuleNotConnected):
        devhub.invoke_method("doThis")


def test_a_method_without_answer_times_out(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    client.on_method_request_received = lambda _request: None
    with pytest.raises(MethodTimeout, match="doThis"):
        devhub.invoke_method("doThis", timeout_s=0.05)


def test_an_input_message_waits_for_the_module(devhub: DevHub, new_client: NewClient) -> None:
    properties = {"$.ct": "image/jpeg", "$.mid": "m1", "a/b": "1 2+3"}
    devhub.send_input("frames", b"jpeg", properties)
    client = new_client()
    got: queue.Queue[Any] = queue.Queue()
    client.on_message_received = got.put
    message = got.get(timeout=DEADLINE_S)
    assert (message.input_name, message.data) == ("frames", b"jpeg")
    assert (message.content_type, message.message_id) == ("image/jpeg", "m1")
    assert message.custom_properties == {"a/b": "1 2+3"}
    devhub.wait(lambda: devhub.undelivered_inputs() == 0)


def test_a_dropped_client_comes_back_and_keeps_its_subscriptions(
    devhub: DevHub, new_client: NewClient
) -> None:
    client = new_client()
    answer_methods(client)
    devhub.drop_links()
    devhub.wait(lambda: devhub.connect_count == 2)
    assert devhub.invoke_method("still", 1).payload == {"got": 1}


def test_cut_refuses_and_restore_lets_in_again(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    client.connect()
    devhub.cut()
    assert devhub.connections == ()
    devhub.wait(lambda: not client.connected)
    tcp_before = devhub.tcp_count
    with pytest.raises(ConnectionFailedError):
        client.send_message_to_output(Message("lost", "m1"), "out")
    assert devhub.tcp_count == tcp_before
    devhub.restore()
    devhub.wait(lambda: devhub.connections == ("visionedge",))
    client.send_message_to_output(Message("there", "m2"), "out")
    assert "m2" in devhub.ids("out")


def test_the_token_is_renewed_before_it_expires(
    devhub: DevHub, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SasTokenStage, "DEFAULT_TOKEN_UPDATE_MARGIN", 4)
    client = new_client(sastoken_ttl=5)
    client.connect()
    devhub.wait(lambda: devhub.connect_count == 2)
    client.send_message_to_output(Message("after", "m1"), "out")
    assert devhub.refused_count == 0


def test_a_token_that_is_not_renewed_drops_the_link(
    devhub: DevHub, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SasTokenStage, "DEFAULT_TOKEN_UPDATE_MARGIN", -3600)
    new_client(sastoken_ttl=2, connection_retry=False).connect()
    devhub.wait(lambda: devhub.connections == ())
    assert devhub.connect_count == 1


def test_another_key_is_refused(devhub: DevHub, monkeypatch: pytest.MonkeyPatch) -> None:
    good = devhub.development_environment()["EdgeHubConnectionString"]
    bad = good.partition(";SharedAccessKey=")[0] + ";SharedAccessKey=" + "QUFB" * 11
    client = IoTHubModuleClient.create_from_connection_string(
        bad, server_verification_cert=devhub.ca_file.read_text()
    )
    with pytest.raises(CredentialError):
        client.connect()
    client.shutdown()
    assert (devhub.connect_count, devhub.refused_count) == (0, 1)


def test_the_development_variables_work_without_the_workload_api(
    devhub: DevHub, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in devhub.environment():
        monkeypatch.delenv(name)
    for name, value in devhub.development_environment().items():
        monkeypatch.setenv(name, value)
    new_client().send_message_to_output(Message("hello"), "out")
    assert devhub.tallies()["out"].messages == 1


def test_two_modules_of_a_device_have_their_own_twins(
    new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DevHub(more_modules=("sidecar",)) as hub:
        for module_id in ("visionedge", "sidecar"):
            for name, value in hub.environment(module_id).items():
                monkeypatch.setenv(name, value)
            client = new_client()
            client.patch_twin_reported_properties({"me": module_id})
            client.send_message_to_output(Message(module_id), "out")
        assert hub.twin("sidecar")["reported"] == {"me": "sidecar", "$version": 2}
        assert hub.reported == {"me": "visionedge"}
        assert [m.body for m in hub.messages(module_id="sidecar")] == [b"sidecar"]
        assert set(hub.connections) == {"visionedge", "sidecar"}
        with pytest.raises(ValueError, match="there are visionedge, sidecar"):
            hub.patch_desired({}, module_id="nobody")


def test_two_hubs_run_side_by_side(
    devhub: DevHub, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DevHub(device_id="line-2") as other:
        first = new_client()
        for name, value in other.environment().items():
            monkeypatch.setenv(name, value)
        second = new_client()
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(
                    lambda pair: pair[0].send_message_to_output(Message(pair[1]), "out"),
                    [(first, "to one"), (second, "to two")],
                )
            )
        assert devhub.address != other.address
        assert [m.body for m in devhub.messages()] == [b"to one"]
        assert [m.body for m in other.messages()] == [b"to two"]
