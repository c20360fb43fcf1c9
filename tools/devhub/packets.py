"""MQTT 3.1.1 control packets: bytes to values and back, with no input or output.

One frozen dataclass a packet type, `encode` for any of them, and a `PacketDecoder` that is fed
whatever the socket gave and hands out whole packets. It is written both ways (the hub's and the
client's half) so that tests can speak to the hub byte by byte.

The decoder trusts nothing: a length that lies, a string that is not UTF-8, a reserved flag or a
packet over the limit raises `MalformedPacket`, and the caller closes the link, as the
specification asks.

Not here: QoS 2 and wildcards in a PUBLISH topic (refused, as IoT Hub refuses them), and wills
(read over and forgotten).

Source: OASIS MQTT 3.1.1, chapters 2 and 3.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

MAX_PACKET_BYTES = 262_144
"""What edgeHub's decoder accepts as remaining length; more closes the link."""

_MAX_LENGTH_BYTES = 4
_QOS_0_OR_1 = 1


class MalformedPacket(Exception):
    """The bytes are no MQTT 3.1.1 that this hub takes: close the link."""


class PacketTooLarge(MalformedPacket):
    """The announced length is over the limit: close the link."""


class PacketType(IntEnum):
    """The high half of a packet's first byte (table 2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


@dataclass(frozen=True, slots=True)
class Connect:
    """A client asks for a session."""

    client_id: str
    keep_alive_s: int = 60
    clean_session: bool = False
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    protocol_name: str = "MQTT"
    protocol_level: int = 4


@dataclass(frozen=True, slots=True)
class Connack:
    """The server's answer: 0 accepted, 1 to 5 refused (table 3.1)."""

    code: int = 0
    session_present: bool = False


@dataclass(frozen=True, slots=True)
class Publish:
    """A message; `packet_id` is None exactly at QoS 0."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    packet_id: int | None = None
    dup: bool = False
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Puback:
    """A QoS 1 message was taken."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topic filters, each with the highest QoS that is wanted."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Suback:
    """One code a filter: the QoS granted, or 0x80 for refused."""

    packet_id: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Topic filters to forget."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsuback:
    """The filters are forgotten."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Pingreq:
    """The client says that it lives."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """The server answers a Pingreq."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The client goes, on purpose."""


Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Puback
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
)


class _Fields:
    """Reads one packet's body from left to right and never past its end."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise MalformedPacket(f"a field of {count} bytes where {self.left} are left")
        self._at += count
        return self._body[self._at - count : self._at]

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def packet_id(self) -> int:
        value = self.u16()
        if value == 0:
            raise MalformedPacket("packet id 0")
        return value

    def binary(self) -> bytes:
        return self.take(self.u16())

    def text(self) -> str:
        try:
            value = self.binary().decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedPacket("a string that is not UTF-8") from error
        if "\0" in value:
            raise MalformedPacket("a string with U+0000")
        return value

    def rest(self) -> bytes:
        return self.take(self.left)

    def end(self) -> None:
        if self.left:
            raise MalformedPacket(f"{self.left} bytes after the end of the packet")


def _text(value: str) -> bytes:
    raw = value.encode("utf-8")
    if len(raw) > 0xFFFF:
        raise ValueError(f"an MQTT string holds 65535 bytes, this one has {len(raw)}")
    return struct.pack(">H", len(raw)) + raw


def _remaining_length(count: int) -> bytes:
    out = bytearray()
    while True:
        count, low = divmod(count, 128)
        out.append(low | (0x80 if count else 0))
        if not count:
            return bytes(out)


def _encode_connect(packet: Connect) -> bytes:
    flags = 0x02 if packet.clean_session else 0
    tail = _text(packet.client_id)
    if packet.username is not None:
        flags |= 0x80
        tail += _text(packet.username)
    if packet.password is not None:
        flags |= 0x40
        tail += struct.pack(">H", len(packet.password)) + packet.password
    head = struct.pack(">BBH", packet.protocol_level, flags, packet.keep_alive_s)
    return _text(packet.protocol_name) + head + tail


def encode(packet: Packet) -> bytes:
    """Returns the packet's bytes as they go on the wire."""
    flags = 0
    match packet:
        case Connect():
            kind, body = PacketType.CONNECT, _encode_connect(packet)
        case Connack(code, session_present):
            kind, body = PacketType.CONNACK, bytes((int(session_present), code))
        case Publish(topic, payload, qos, packet_id, dup, retain):
            kind, flags = PacketType.PUBLISH, dup << 3 | qos << 1 | retain
            body = _text(topic) + (struct.pack(">H", packet_id) if packet_id else b"") + payload
        case Puback(packet_id):
            kind, body = PacketType.PUBACK, struct.pack(">H", packet_id)
        case Subscribe(packet_id, wanted):
            kind, flags = PacketType.SUBSCRIBE, 2
            body = struct.pack(">H", packet_id)
            body += b"".join(_text(name) + bytes((qos,)) for name, qos in wanted)
        case Suback(packet_id, codes):
            kind, body = PacketType.SUBACK, struct.pack(">H", packet_id) + bytes(codes)
        case Unsubscribe(packet_id, unwanted):
            kind, flags = PacketType.UNSUBSCRIBE, 2
            body = struct.pack(">H", packet_id) + b"".join(map(_text, unwanted))
        case Unsuback(packet_id):
            kind, body = PacketType.UNSUBACK, struct.pack(">H", packet_id)
        case Pingreq():
            kind, body = PacketType.PINGREQ, b""
        case Pingresp():
            kind, body = PacketType.PINGRESP, b""
        case Disconnect():
            kind, body = PacketType.DISCONNECT, b""
    return bytes((kind << 4 | flags,)) + _remaining_length(len(body)) + body


def _decode_connect(fields: _Fields, _flags: int) -> Connect:
    name, level, flags, keep_alive_s = fields.text(), fields.u8(), fields.u8(), fields.u16()
    if flags & 0x01:
        raise MalformedPacket("the reserved CONNECT flag is set")
    client_id = fields.text()
    if flags & 0x04:
        fields.text()
        fields.binary()
    username = fields.text() if flags & 0x80 else None
    password = fields.binary() if flags & 0x40 else None
    clean_session = bool(flags & 0x02)
    return Connect(client_id, keep_alive_s, clean_session, username, password, name, level)


def _decode_connack(fields: _Fields, _flags: int) -> Connack:
    session_present, code = fields.u8(), fields.u8()
    return Connack(code, bool(session_present & 1))


def _decode_publish(fields: _Fields, flags: int) -> Publish:
    qos = flags >> 1 & 3
    if qos > _QOS_0_OR_1:
        raise MalformedPacket(f"QoS {qos}: only 0 and 1 are served")
    topic = fields.text()
    if not topic or "#" in topic or "+" in topic:
        raise MalformedPacket("a PUBLISH topic that is empty or has a wildcard")
    packet_id = fields.packet_id() if qos else None
    return Publish(topic, fields.rest(), qos, packet_id, bool(flags & 8), bool(flags & 1))


def _decode_subscribe(fields: _Fields, _flags: int) -> Subscribe:
    packet_id = fields.packet_id()
    wanted: list[tuple[str, int]] = []
    while fields.left or not wanted:
        wanted.append((fields.text(), fields.u8()))
    if any(not name or qos > 2 for name, qos in wanted):
        raise MalformedPacket("a SUBSCRIBE with an empty filter or a QoS above 2")
    return Subscribe(packet_id, tuple(wanted))


def _decode_unsubscribe(fields: _Fields, _flags: int) -> Unsubscribe:
    packet_id = fields.packet_id()
    unwanted = [fields.text()]
    while fields.left:
        unwanted.append(fields.text())
    return Unsubscribe(packet_id, tuple(unwanted))


_DECODERS: dict[PacketType, tuple[int | None, Callable[[_Fields, int], Packet]]] = {
    # Type: (the only flags allowed, or None for any; how to read the body).
    PacketType.CONNECT: (0, _decode_connect),
    PacketType.CONNACK: (0, _decode_connack),
    PacketType.PUBLISH: (None, _decode_publish),
    PacketType.PUBACK: (0, lambda fields, _: Puback(fields.packet_id())),
    PacketType.SUBSCRIBE: (2, _decode_subscribe),
    PacketType.SUBACK: (0, lambda fields, _: Suback(fields.packet_id(), tuple(fields.rest()))),
    PacketType.UNSUBSCRIBE: (2, _decode_unsubscribe),
    PacketType.UNSUBACK: (0, lambda fields, _: Unsuback(fields.packet_id())),
    PacketType.PINGREQ: (0, lambda _fields, _: Pingreq()),
    PacketType.PINGRESP: (0, lambda _fields, _: Pingresp()),
    PacketType.DISCONNECT: (0, lambda _fields, _: Disconnect()),
}


def _kind(first: int) -> PacketType:
    """The type that a packet's first byte announces, its flags checked."""
    try:
        kind = PacketType(first >> 4)
    except ValueError:
        raise MalformedPacket(f"packet type {first >> 4}") from None
    allowed, _read = _DECODERS[kind]
    if allowed is not None and first & 0x0F != allowed:
        raise MalformedPacket(f"flags {first & 0x0F:#x} in a {kind.name}")
    return kind


def _decode(first: int, body: bytes) -> Packet:
    _allowed, read = _DECODERS[_kind(first)]
    fields = _Fields(body)
    packet = read(fields, first & 0x0F)
    fields.end()
    return packet


class PacketDecoder:
    """Cuts a stream of bytes into packets: `feed` it, then take with `next` until None.

    Args:
        limit_bytes: The largest remaining length that is taken.
    """

    def __init__(self, limit_bytes: int = MAX_PACKET_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Adds bytes that came from the peer."""
        self._buffer += chunk

    def next(self) -> Packet | None:
        """Returns the next whole packet, or None while it is not all there.

        Raises:
            PacketTooLarge: The announced length is over the limit; close the link.
            MalformedPacket: The bytes are no packet; close the link.
        """
        header = self._header()
        if header is None:
            return None
        start, count = header
        if count > self._limit_bytes:
            raise PacketTooLarge(f"{count} bytes announced, {self._limit_bytes} is the limit")
        if len(self._buffer) < start + count:
            return None
        first, body = self._buffer[0], bytes(self._buffer[start : start + count])
        del self._buffer[: start + count]
        return _decode(first, body)

    def _header(self) -> tuple[int, int] | None:
        """The index where the body starts and its length, or None while the header is cut."""
        if self._buffer:
            _kind(self._buffer[0])
        count = 0
        for place, byte in enumerate(self._buffer[1 : 1 + _MAX_LENGTH_BYTES]):
            count |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                return place + 2, count
        if len(self._buffer) > _MAX_LENGTH_BYTES:
            raise MalformedPacket("a remaining length of more than four bytes")
        return None
