"""The MQTT codec, alone: what goes in comes out, and nothing wrong gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhub.packets import (
    MAX_PACKET_BYTES,
    Connack,
    Connect,
    Disconnect,
    MalformedPacket,
    Packet,
    PacketDecoder,
    PacketTooLarge,
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

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
_TOPIC = _TEXT.filter(lambda text: text and not {"+", "#"} & set(text))
_ID = st.integers(1, 65535)
_FLAG = st.booleans()

PACKETS = st.one_of(
    st.builds(
        Connect,
        _TEXT,
        st.integers(0, 65535),
        _FLAG,
        st.none() | _TEXT,
        st.none() | st.binary(max_size=300),
    ),
    st.builds(Connack, st.integers(0, 5), _FLAG),
    st.builds(Publish, _TOPIC, st.binary(max_size=300), st.just(1), _ID, _FLAG, _FLAG),
    st.builds(Publish, _TOPIC, st.binary(max_size=300), st.just(0), st.none()),
    st.builds(Puback, _ID),
    st.builds(
        Subscribe,
        _ID,
        st.lists(st.tuples(_TEXT.filter(bool), st.integers(0, 2)), min_size=1, max_size=4).map(
            tuple
        ),
    ),
    st.builds(Suback, _ID, st.lists(st.sampled_from([0, 1, 128]), max_size=4).map(tuple)),
    st.builds(Unsubscribe, _ID, st.lists(_TEXT, min_size=1, max_size=4).map(tuple)),
    st.builds(Unsuback, _ID),
    st.sampled_from([Pingreq(), Pingresp(), Disconnect()]),
)


def decoded(*chunks: bytes, limit_bytes: int = MAX_PACKET_BYTES) -> list[Packet]:
    """Everything that a decoder makes of the chunks."""
    decoder = PacketDecoder(limit_bytes)
    packets = []
    for chunk in chunks:
        decoder.feed(chunk)
        while (packet := decoder.next()) is not None:
            packets.append(packet)
    return packets


@given(st.lists(PACKETS, max_size=5), st.integers(1, 50))
def test_what_is_encoded_is_decoded_however_it_is_cut(
    packets: list[Packet], chunk_bytes: int
) -> None:
    stream = b"".join(map(encode, packets))
    chunks = [stream[at : at + chunk_bytes] for at in range(0, len(stream), chunk_bytes)]
    assert decoded(*chunks) == packets


@given(st.binary(max_size=200))
def test_garbage_is_waited_on_or_refused_but_never_crashes(garbage: bytes) -> None:
    try:
        decoded(garbage)
    except MalformedPacket:
        return


@given(PACKETS, st.data())
def test_a_flipped_byte_is_another_packet_or_refused(packet: Packet, data: st.DataObject) -> None:
    raw = bytearray(encode(packet))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded(bytes(raw))
    except MalformedPacket:
        return


@given(PACKETS)
def test_a_truncated_packet_is_waited_for(packet: Packet) -> None:
    assert decoded(encode(packet)[:-1]) == []


def test_the_specification_s_own_bytes() -> None:
    assert encode(Connect("a", 10, True)) == bytes.fromhex("100d00044d5154540402000a000161")
    assert encode(Publish("a/b", b"x", 1, 10, dup=True)) == bytes.fromhex("3a080003612f62000a78")
    assert encode(Subscribe(10, (("a/b", 1), ("c/d", 2)))).hex() == (
        "820e" "000a" "0003612f62" "01" "0003632f64" "02"
    )  # fmt: skip
    assert encode(Suback(1, (0, 2, 128))).hex() == "90050001000280"


@pytest.mark.parametrize("size", [127, 128, 16_383, 16_384, MAX_PACKET_BYTES])
def test_lengths_around_the_steps_of_the_encoding(size: int) -> None:
    publish = Publish("t", bytes(size - 3))
    assert decoded(encode(publish)) == [publish]


def test_a_packet_over_the_limit_is_refused_from_its_header_alone() -> None:
    header = encode(Publish("t", bytes(MAX_PACKET_BYTES - 2)))[:4]
    with pytest.raises(PacketTooLarge, match="262145"):
        decoded(header)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("00 00", "packet type 0"),
        ("f0 00", "packet type 15"),
        ("50 02 0001", "packet type 5"),
        ("30 80 80 80 80 01", "more than four"),
        ("c1 00", "flags 0x1 in a PINGREQ"),
        ("80 06 0001 0001 61 00", "flags 0x0 in a SUBSCRIBE"),
        ("82 02 0001", "2 bytes where 0 are left"),
        ("82 05 0001 0000 01", "empty filter"),
        ("82 06 0001 0001 61 03", "QoS above 2"),
        ("82 06 0000 0001 61 01", "packet id 0"),
        ("a2 02 0001", "2 bytes where 0 are left"),
        ("40 03 0001 00", "1 bytes after the end"),
        ("40 01 01", "2 bytes where 1 are left"),
        ("30 03 0009 61", "9 bytes where 1 are left"),
        ("30 04 0002 c328", "not UTF-8"),
        ("30 03 0001 00", r"U\+0000"),
        ("30 02 0000", "empty"),
        ("30 03 0001 23", "wildcard"),
        ("30 03 0001 2b", "wildcard"),
        ("34 05 0001 61 0001", "QoS 2"),
        ("36 05 0001 61 0001", "QoS 3"),
        ("32 05 0001 61 0000", "packet id 0"),
        ("10 0d 0004 4d515454 04 03 000a 0001 61", "reserved CONNECT flag"),
        ("10 0d 0004 4d515454 04 82 000a 0001 61", "2 bytes where 0 are left"),
    ],
)
def test_a_malformed_packet_is_refused_with_its_reason(raw: str, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        decoded(bytes.fromhex(raw))


def test_a_will_is_read_over() -> None:
    body = bytes.fromhex("0004 4d515454 04 c4 003c 0001 63 0001 77 0002 7878 0001 75 0001 70")
    (packet,) = decoded(bytes((0x10, len(body))) + body)
    assert packet == Connect("c", 60, False, "u", b"p")


def test_a_password_stays_out_of_the_repr() -> None:
    assert "secret" not in repr(Connect("c", password=b"secret"))


def test_a_topic_too_long_for_the_wire_is_refused_when_encoding() -> None:
    with pytest.raises(ValueError, match="65535"):
        encode(Publish("t" * 65_536))
