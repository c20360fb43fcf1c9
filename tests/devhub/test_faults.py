"""Each fault of the hub does to the real SDK what its description says."""

import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import requests
from azure.iot.device import Message, MethodResponse
from azure.iot.device.common.pipeline.pipeline_stages_base import SasTokenStage
from azure.iot.device.exceptions import ClientError, NoConnectionError
from tests.support.mqtt_client import RawClient, good_connect, token

from devhub import DevHub, ModuleNotConnected
from devhub.faults import FAULT_NAMES, Faults
from devhub.packets import Connack, Pingreq, Pingresp, Puback, Publish, Suback, Subscribe

NewClient = Callable[..., Any]
DEADLINE_S = 10
EVENTS = "devices/line-1/modules/visionedge/messages/events/"


def in_background(call: Callable[..., Any], *arguments: object) -> "Future[Any]":
    """Calls in a daemon thread: some of these calls never return."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call(*arguments))
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def send(client: Any, message_id: str) -> "Future[Any]":  # noqa: ANN401 - the SDK ships no types
    """Sends to the output `out`, in the background."""
    return in_background(client.send_message_to_output, Message("x", message_id), "out")


def test_all_faults_are_at_rest_in_a_new_hub(devhub: DevHub) -> None:
    assert devhub.faults == Faults()
    assert devhub.faults.active() == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lose_pubac": True}, "there are refuse_tcp, "),
        ({"latency_s": -1}, "latency_s cannot be -1"),
        ({"latency_s": "slow"}, "latency_s cannot be 'slow'"),
        ({"poison_output": 3}, "poison_output cannot be 3"),
        ({"latency_s": float("nan")}, "latency_s cannot be nan"),
        ({"drop_at_publish": float("inf")}, "drop_at_publish cannot be inf"),
        ({"connack_code": 6}, "connack_code cannot be 6"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_and_nothing_changes(
    devhub: DevHub, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        devhub.set_faults(no_tls=True, **changes)
    assert devhub.faults == Faults()


def test_every_fault_can_be_set_and_cleared(devhub: DevHub) -> None:
    for name in FAULT_NAMES:
        rest = getattr(Faults(), name)
        devhub.set_faults(**{name: "x" if isinstance(rest, str) else 1})
        assert list(devhub.faults.active()) == [name]
        assert devhub.clear_faults() == Faults()


def test_lose_puback_leaves_the_sender_waiting_until_it_reconnects(
    devhub: DevHub, new_client: NewClient
) -> None:
    client = new_client()
    client.connect()
    devhub.set_faults(lose_puback=1)
    sent = send(client, "m1")
    devhub.wait(lambda: devhub.ids("out") == {"m1": 1})
    # The hub may know of a message before the call that sent it has left the client's one
    # thread, and a link lost in between fails that call. What the twin answers comes after it.
    client.get_twin()
    assert not sent.done()
    devhub.drop_links()
    sent.result(DEADLINE_S)
    assert devhub.ids("out") == {"m1": 2}
    assert [m.dup for m in devhub.messages()] == [False, True]


def test_drop_at_publish_makes_a_duplicate(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    client.connect()
    devhub.set_faults(drop_at_publish=2)
    send(client, "m1").result(DEADLINE_S)
    # The call that sends may meet the loss itself; what it sent is repeated all the same.
    with suppress(NoConnectionError):
        send(client, "m2").result(DEADLINE_S)
    devhub.wait(lambda: devhub.ids("out").get("m2") == 2)
    send(client, "m3").result(DEADLINE_S)
    assert devhub.ids("out") == {"m1": 1, "m2": 2, "m3": 1}


def test_a_late_puback_comes_late_and_holds_nothing_else_back(devhub: DevHub) -> None:
    devhub.set_faults(puback_delay_s=0.1)
    with RawClient(devhub) as client:
        client.join(devhub)
        started = time.monotonic()
        client.send(Publish(EVENTS, b"x", 1, 1), Pingreq())
        client.expect(Pingresp)
        assert client.expect(Puback).packet_id == 1
        assert time.monotonic() - started >= 0.1


def test_a_lost_twin_answer_leaves_get_twin_waiting(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    client.connect()
    devhub.set_faults(lose_twin_answer=1)
    lost = in_background(client.get_twin)
    devhub.wait(lambda: devhub.faults.lose_twin_answer == 0)
    assert in_background(client.get_twin).result(DEADLINE_S)["desired"] == {"$version": 1}
    assert not lost.done()


def test_a_lost_suback_leaves_the_subscription_made(devhub: DevHub) -> None:
    devhub.set_faults(lose_suback=1)
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Subscribe(1, (("$iothub/methods/POST/#", 1),)), Pingreq())
        client.expect(Pingresp)
        assert devhub.subscriptions() == ("$iothub/methods/POST/#",)
        client.send(Subscribe(2, (("$iothub/twin/res/#", 1),)))
        assert client.expect(Suback).packet_id == 2


@pytest.mark.parametrize("how", ["fault", "call"])
def test_a_lost_session_means_no_methods_though_connected(
    devhub: DevHub, new_client: NewClient, how: str
) -> None:
    client = new_client()
    client.on_method_request_received = lambda request: client.send_method_response(
        MethodResponse.create_from_method_request(request, 200)
    )
    assert devhub.invoke_method("before").status == 200
    if how == "fault":
        devhub.set_faults(lose_session=1)
        devhub.drop_links()
    else:
        devhub.lose_sessions()
    devhub.wait(lambda: devhub.connect_count == 2)
    send(client, "telemetry still works").result(DEADLINE_S)
    with pytest.raises(ModuleNotConnected):
        devhub.invoke_method("after")


def test_a_mute_connack_lets_tls_through_and_says_nothing(devhub: DevHub) -> None:
    devhub.set_faults(mute_connack=True)
    with RawClient(devhub) as mute, RawClient(devhub) as client:
        mute.send(good_connect(devhub), Pingreq())
        devhub.wait(lambda: "no CONNACK" in devhub.last_events())
        devhub.clear_faults()
        client.join(devhub)
        assert devhub.connect_count == 1
        devhub.drop_links()
        assert mute.read() is None


@pytest.mark.parametrize("code", [3, 4, 5])
def test_a_connack_code_is_given_to_everyone(
    devhub: DevHub, new_client: NewClient, code: int
) -> None:
    devhub.set_faults(connack_code=code)
    with pytest.raises(ClientError):
        new_client().connect()
    assert devhub.refused_count >= 1
    assert devhub.connect_count == 0


def test_refused_tcp_is_refused_at_once(devhub: DevHub) -> None:
    devhub.set_faults(refuse_tcp=True)
    with pytest.raises(ConnectionRefusedError):
        RawClient(devhub)
    devhub.set_faults(refuse_tcp=False)
    with RawClient(devhub) as client:
        client.join(devhub)


def test_without_tls_the_handshake_hangs_until_the_fault_ends(devhub: DevHub) -> None:
    devhub.set_faults(no_tls=True)
    handshake = in_background(RawClient, devhub)
    devhub.wait(lambda: devhub.tcp_count == 1)
    assert not handshake.done()
    devhub.clear_faults()
    with pytest.raises(OSError, match="reset|EOF|closed"):
        handshake.result(DEADLINE_S)


def test_poison_closes_the_link_and_is_never_taken(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    send(client, "fine").result(DEADLINE_S)
    devhub.set_faults(poison_output="out")
    send(client, "poison")
    devhub.wait(lambda: devhub.connect_count >= 5, what="the SDK's hot loop of reconnects")
    assert devhub.ids("out") == {"fine": 1}
    devhub.clear_faults()
    devhub.wait(lambda: devhub.ids("out").get("poison"))


def test_a_rival_takes_the_session_over(devhub: DevHub, new_client: NewClient) -> None:
    devhub.set_faults(rival_s=0.01)
    client = new_client()
    client.connect()
    devhub.wait(lambda: devhub.connect_count >= 3)
    devhub.clear_faults()
    send(client, "m1").result(DEADLINE_S)


def test_patches_can_come_newest_first(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Subscribe(1, (("$iothub/twin/PATCH/properties/desired/#", 1),)))
        client.expect(Suback)
        devhub.set_faults(reorder_patches=3)
        for number in range(3):
            devhub.patch_desired({"n": number})
        versions = [client.expect(Publish).topic.rpartition("=")[2] for _ in range(3)]
        assert versions == ["4", "3", "2"]
        devhub.patch_desired({"n": 3})
        devhub.clear_faults()
        assert client.expect(Publish).topic.endswith("=5")


def test_a_never_synced_edge_answers_a_twin_without_version(
    devhub: DevHub, new_client: NewClient
) -> None:
    devhub.set_faults(never_synced=True)
    assert new_client().get_twin() == {"desired": {}, "reported": {}}


def test_a_silent_cloud_acknowledges_and_sends_nothing_down(
    devhub: DevHub, new_client: NewClient
) -> None:
    client = new_client(ensure_desired_properties=False)
    patches: queue.Queue[dict[str, Any]] = queue.Queue()
    client.on_twin_desired_properties_patch_received = patches.put
    client.on_method_request_received = lambda _request: None
    devhub.set_faults(silent_cloud=True)
    send(client, "m1").result(DEADLINE_S)
    devhub.patch_desired({"a": 1})
    with pytest.raises(ModuleNotConnected):
        devhub.invoke_method("anything")
    assert client.get_twin()["desired"] == {"$version": 1}
    assert devhub.desired == {"a": 1}
    assert patches.empty()
    devhub.clear_faults()
    assert patches.get(timeout=DEADLINE_S) == {"a": 1, "$version": 2}


def test_latency_delays_every_answer_and_keeps_the_order(devhub: DevHub) -> None:
    devhub.set_faults(latency_s=0.05)
    with RawClient(devhub) as client:
        started = time.monotonic()
        client.join(devhub)
        assert time.monotonic() - started >= 0.05
        client.send(*(Publish(EVENTS, b"x", 1, number) for number in range(1, 21)))
        devhub.wait(lambda: len(devhub.messages()) == 20)
        devhub.clear_faults()
        client.send(Pingreq())
        assert [client.expect(Puback).packet_id for _ in range(20)] == [*range(1, 21)]
        client.expect(Pingresp)


def test_a_refusal_comes_through_a_slow_link(devhub: DevHub) -> None:
    devhub.set_faults(latency_s=0.05, connack_code=5)
    with RawClient(devhub) as client:
        client.send(good_connect(devhub))
        assert client.expect(Connack).code == 5


def test_a_narrow_uplink_takes_its_time(devhub: DevHub, new_client: NewClient) -> None:
    client = new_client()
    client.connect()
    devhub.set_faults(uplink_bytes_per_s=1_000_000)
    started = time.monotonic()
    client.send_message_to_output(Message(bytes(200_000), "big"), "out")
    assert time.monotonic() - started >= 0.2
    assert devhub.ids("out") == {"big": 1}


def test_a_frozen_link_goes_on_where_it_stopped(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        devhub.set_faults(freeze=True)
        client.send(Publish(EVENTS, b"x", 1, 1))
        answer = in_background(client.expect, Puback)
        other = in_background(RawClient, devhub)
        devhub.wait(lambda: devhub.tcp_count == 2)
        assert not devhub.messages()
        assert not answer.done()
        assert not other.done()
        devhub.clear_faults()
        assert answer.result(DEADLINE_S).packet_id == 1
        with other.result(DEADLINE_S):
            pass


def test_a_frozen_hub_pushes_when_it_thaws(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Subscribe(1, (("$iothub/twin/PATCH/properties/desired/#", 1),)))
        client.expect(Suback)
        devhub.set_faults(freeze=True)
        devhub.patch_desired({"a": 1})
        push = in_background(client.expect, Publish)
        assert not push.done()
        devhub.clear_faults()
        assert push.result(DEADLINE_S).payload == b'{"a":1,"$version":2}'


def test_a_workload_api_that_is_gone_is_a_missing_socket(
    devhub: DevHub, new_client: NewClient
) -> None:
    devhub.set_faults(workload_gone=True)
    with pytest.raises(requests.exceptions.ConnectionError):
        new_client()
    devhub.clear_faults()
    new_client().connect()


def test_a_hung_workload_api_hangs_the_client_s_making(
    devhub: DevHub, new_client: NewClient
) -> None:
    devhub.set_faults(workload_hung=True)
    made = in_background(new_client)
    devhub.wait(lambda: "hung" in devhub.last_events())
    assert not made.done()
    devhub.clear_faults()
    made.result(DEADLINE_S).connect()


def test_a_500_of_the_workload_api_fails_the_client_s_making(
    devhub: DevHub, new_client: NewClient
) -> None:
    devhub.set_faults(workload_error=1)
    with pytest.raises(OSError, match="Unexpected failure in IoTEdge"):
        new_client()
    new_client().connect()


def test_one_500_at_renewal_ends_in_a_refused_client(
    devhub: DevHub, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SasTokenStage, "DEFAULT_TOKEN_UPDATE_MARGIN", 1)
    client = new_client(sastoken_ttl=2)
    client.connect()
    devhub.set_faults(workload_error=1)
    devhub.wait(lambda: devhub.refused_count >= 1)
    with pytest.raises(ClientError):
        send(client, "m1").result(DEADLINE_S)


def test_a_rotated_authority_fails_old_clients_and_serves_new_ones(
    devhub: DevHub, new_client: NewClient
) -> None:
    old = new_client()
    old.connect()
    devhub.rotate_authority()
    devhub.wait(lambda: "tls-failed" in devhub.last_events())
    new_client().connect()
    devhub.wait(lambda: devhub.connections == ("visionedge",))


def test_a_fault_takes_the_type_of_its_attribute(devhub: DevHub) -> None:
    faults = devhub.set_faults(drop_at_publish=True, latency_s=1, lose_puback=3, no_tls=True)
    assert (faults.drop_at_publish, faults.latency_s) == (1, 1.0)
    assert not isinstance(faults.drop_at_publish, bool)
    assert (faults.lose_puback, faults.no_tls) == (3, True)


def test_a_cut_ends_a_handshake_that_has_begun(devhub: DevHub) -> None:
    with socket.create_connection((devhub.address, 8883), timeout=DEADLINE_S) as half:
        devhub.wait(lambda: devhub.tcp_count == 1)
        devhub.cut()
        assert half.recv(1) == b""


def test_a_hub_that_refuses_tcp_keeps_its_address(devhub: DevHub) -> None:
    devhub.set_faults(refuse_tcp=True)
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with claim, pytest.raises(OSError, match="in use"):
        claim.bind((devhub.address, 8883))


def test_tokens_can_expire_before_their_time(devhub: DevHub) -> None:
    connect = good_connect(devhub)
    with RawClient(devhub) as first, RawClient(devhub) as again, RawClient(devhub) as renewed:
        first.send(connect)
        assert first.expect(Connack).code == 0
        devhub.set_faults(token_life_s=0.05)
        assert first.read() is None
        again.send(connect)
        assert again.expect(Connack).code == 5
        renewed.send(replace(connect, password=token(devhub, ttl_s=1800)))
        assert renewed.expect(Connack).code == 0
        assert renewed.read() is None
