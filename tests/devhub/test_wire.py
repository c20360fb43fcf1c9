"""The hub against clients that are not the SDK: wrong, rude, slow or simply other."""

import pytest
from tests.support.mqtt_client import RawClient, good_connect, token

from devhub import DevHub
from devhub.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    encode,
)

EVENTS = "devices/line-1/modules/visionedge/messages/events/"


@pytest.mark.parametrize(
    "rude",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 64,
        bytes(64),
        b"\x30\xff\xff\xff\xff\x7f",
        b"\x30\xff\xff\xff\x7f",
    ],
)
def test_garbage_closes_the_link_and_harms_no_one(devhub: DevHub, rude: bytes) -> None:
    with RawClient(devhub) as victim, RawClient(devhub) as client:
        victim.join(devhub)
        client.send(rude)
        assert client.read() is None
        victim.send(Pingreq())
        victim.expect(Pingresp)


def test_a_message_over_the_limit_closes_the_link_untaken(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Publish(EVENTS, bytes(262_145 - 2 - len(EVENTS) - 2), 1, 1))
        assert client.read() is None
    assert devhub.messages() == []


def test_a_message_of_exactly_the_limit_is_taken(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Publish(EVENTS, bytes(262_144 - 2 - len(EVENTS) - 2), 1, 1))
        assert client.expect(Puback).packet_id == 1
    assert devhub.messages()[0].size_bytes == 262_140


def test_a_length_that_promises_more_waits_for_the_rest(devhub: DevHub) -> None:
    promised = encode(Publish(EVENTS, bytes(100), 1, 1))
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(promised[:-50], encode(Pingreq()))
        client.send(bytes(48), Pingreq())
        assert client.expect(Puback).packet_id == 1
        client.expect(Pingresp)
    assert devhub.messages()[0].body == bytes(50) + encode(Pingreq()) + bytes(48)


def test_silence_is_dropped_after_one_and_a_half_keep_alives(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub, keep_alive_s=1)
        assert client.read() is None
    assert devhub.connections == ()


@pytest.mark.parametrize("first", [Pingreq(), Publish(EVENTS, b"x"), Subscribe(1, (("a", 1),))])
def test_the_first_packet_must_be_a_connect(devhub: DevHub, first: Packet) -> None:
    with RawClient(devhub) as client:
        client.send(first)
        assert client.read() is None
    assert devhub.connect_count == 0


def test_a_second_connect_closes_the_link(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(good_connect(devhub))
        assert client.read() is None


def _changed(hub: DevHub, **changes: object) -> Connect:
    good = good_connect(hub)
    fields = {name: getattr(good, name) for name in Connect.__slots__}
    return Connect(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"protocol_name": "MQIsdp", "protocol_level": 3}, 1),
        ({"protocol_level": 5}, 1),
        ({"client_id": ""}, 2),
        ({"username": None}, 4),
        ({"username": "devhub.localhost/line-1/other/?api-version=1"}, 4),
        ({"client_id": "line-1/nobody"}, 5),
        ({"password": None}, 5),
        ({"password": b"hunter2"}, 5),
        ({"password": b"\xff\xfe"}, 5),
        ({"password": b"SharedAccessSignature sr=a&sig=%%%&se=soon"}, 5),
    ],
)
def test_a_bad_connect_gets_its_code(devhub: DevHub, changes: dict[str, object], code: int) -> None:
    with RawClient(devhub) as client:
        client.send(_changed(devhub, **changes))
        assert client.expect(Connack).code == code
        assert client.read() is None
    assert (devhub.connect_count, devhub.refused_count) == (0, 1)


def test_a_token_for_another_module_is_refused() -> None:
    with DevHub(more_modules=("other",)) as hub, RawClient(hub) as client:
        client.send(_changed(hub, password=token(hub, "other")))
        assert client.expect(Connack).code == 5


def test_an_expired_token_is_refused(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.send(_changed(devhub, password=token(devhub, ttl_s=-5)))
        assert client.expect(Connack).code == 5


def test_the_same_id_takes_the_session_over(devhub: DevHub) -> None:
    with RawClient(devhub) as first, RawClient(devhub) as second:
        assert not first.join(devhub).session_present
        first.send(Subscribe(1, (("$iothub/methods/POST/#", 1),)))
        first.expect(Suback)
        assert second.join(devhub).session_present
        assert first.read() is None
        assert devhub.connections == ("visionedge",)


def test_a_clean_session_forgets_the_subscriptions(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Subscribe(1, (("$iothub/methods/POST/#", 1),)))
        client.expect(Suback)
        client.send(Disconnect())
        assert client.read() is None
    with RawClient(devhub) as client:
        assert not client.join(devhub, clean_session=True).session_present
    assert devhub.subscriptions() == ()


@pytest.mark.parametrize(
    "topic", ["anything", "devices/line-1/modules/other/messages/events/", "$iothub/unknown/"]
)
def test_publishing_elsewhere_closes_the_link(devhub: DevHub, topic: str) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Publish(topic, b"x", 1, 1))
        assert client.read() is None


def test_a_qos_0_message_is_taken_and_not_acknowledged(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Publish(EVENTS + "$.on=out", b"x"), Pingreq())
        client.expect(Pingresp)
    assert devhub.messages()[0].output == "out"


def test_packets_in_one_write_are_answered_in_order(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.send(
            good_connect(devhub),
            Publish(EVENTS, b"1", 1, 7),
            Publish(EVENTS, b"2", 1, 8, dup=True),
        )
        client.expect(Connack)
        assert [client.expect(Puback).packet_id for _ in range(2)] == [7, 8]
    assert [m.dup for m in devhub.messages()] == [False, True]


def test_an_unacknowledged_input_comes_again_marked_as_a_duplicate(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Subscribe(1, (("devices/line-1/modules/visionedge/inputs/#", 1),)))
        assert client.expect(Suback).codes == (1,)
        devhub.send_input("frames", b"one")
        assert not client.expect(Publish).dup
    with RawClient(devhub) as client:
        client.join(devhub)
        again = client.expect(Publish)
        assert (again.payload, again.dup) == (b"one", True)
        assert again.packet_id
        client.send(Puback(again.packet_id))
        devhub.wait(lambda: devhub.undelivered_inputs() == 0)


def test_nothing_is_pushed_after_unsubscribing(devhub: DevHub) -> None:
    patches = "$iothub/twin/PATCH/properties/desired/#"
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Subscribe(1, ((patches, 0),)))
        assert client.expect(Suback).codes == (0,)
        devhub.patch_desired({"a": 1})
        assert client.expect(Publish).qos == 0
        client.send(Unsubscribe(2, (patches,)))
        client.expect(Unsuback)
        devhub.patch_desired({"a": 2})
        client.send(Pingreq())
        client.expect(Pingresp)


def test_a_method_s_answer_that_is_no_json_closes_the_link(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Publish("$iothub/methods/res/200/?$rid=1", b"{", 1, 1))
        assert client.read() is None
