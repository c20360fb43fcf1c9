"""Frames filled up, positions found, tokens believed: the event hub's parts, without a network."""

import base64
import datetime as dt
import hashlib
import hmac
import struct
from urllib.parse import quote_plus

import pytest
from azure.eventhub._pyamqp._decode import decode_frame
from hypothesis import given
from hypothesis import strategies as st

from devhub.sas import SasRefused
from eventhub.access import SAS_TYPE, Claims, Policy
from eventhub.broker import Broker, ReaderRefused
from eventhub.frames import FrameFiller, filled
from eventhub.log import BadPosition, Event, Partition

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
FIELDS = {0x10: 10, 0x11: 8, 0x12: 14, 0x13: 11, 0x14: 11, 0x15: 6, 0x16: 3, 0x17: 1, 0x18: 1}


def frame(code: int, fields: list[int], payload: bytes = b"", *, wide: bool = False) -> bytes:
    """A frame whose performative has these small unsigned numbers as its fields."""
    body = b"".join(b"\x52" + bytes([value]) for value in fields)
    if wide:
        listed = b"\xd0" + struct.pack(">II", len(body) + 4, len(fields)) + body
    elif fields:
        listed = b"\xc0" + bytes([len(body) + 1, len(fields)]) + body
    else:
        listed = b"\x45"
    content = b"\x02\x00\x00\x01\x00\x53" + bytes([code]) + listed + payload
    return struct.pack(">I", len(content) + 4) + content


@given(
    code=st.sampled_from(sorted(FIELDS)),
    fields=st.lists(st.integers(0, 255), max_size=14),
    payload=st.binary(max_size=40),
    wide=st.booleans(),
)
def test_every_performative_gets_all_its_fields_and_loses_nothing(
    code: int, fields: list[int], payload: bytes, wide: bool
) -> None:
    fields = fields[: FIELDS[code]]
    payload = payload if code == 0x14 else b""
    whole = filled(frame(code, fields, payload, wide=wide))
    assert int.from_bytes(whole[:4], "big") == len(whole)
    kind, read = decode_frame(memoryview(whole)[8:])
    assert kind == code
    if code == 0x14:
        assert bytes(read.pop()) == payload
    assert read == fields + [None] * (FIELDS[code] - len(fields))


@given(cuts=st.lists(st.integers(1, 30), max_size=30))
def test_frames_come_whole_however_they_were_cut(cuts: list[int]) -> None:
    sasl = b"\x00\x00\x00\x0c\x02\x01\x00\x00\x00\x53\x44\x45"
    empty = b"\x00\x00\x00\x08\x02\x00\x00\x00"
    stream = b"AMQP\x03\x01\x00\x00" + sasl + b"AMQP\x00\x01\x00\x00" + frame(0x18, []) + empty
    filler, out, rest = FrameFiller(), b"", stream
    for cut in [*cuts, len(stream)]:
        out += filler.feed(rest[:cut])
        rest = rest[cut:]
    assert out == stream.replace(frame(0x18, []), filled(frame(0x18, [])))


def partition(count: int, keep: int = 100) -> Partition:
    made = Partition("0", keep)
    for n in range(count):
        made.append(Event(bytes(n)), NOW + dt.timedelta(seconds=n))
    return made


def test_a_position_is_found_by_offset_number_and_time() -> None:
    log = partition(5)
    third = list(log.after(0))[2]
    ms = int(third.enqueued_at.timestamp() * 1000)
    for name, value in (("offset", third.offset), ("sequence-number", 2), ("enqueued-time", ms)):
        assert log.find(f"amqp.annotation.x-opt-{name} > '{value}'") == 3
        assert log.find(f"amqp.annotation.x-opt-{name} >= '{value}'") == 2
    assert log.find("amqp.annotation.x-opt-offset > '-1'") == 0
    assert log.find("amqp.annotation.x-opt-offset > '@latest'") == 5


def test_what_is_no_longer_kept_is_passed_over() -> None:
    log = partition(10, keep=3)
    assert log.find("amqp.annotation.x-opt-offset > '-1'") == 7
    assert [stored.sequence for stored in log.after(0)] == [7, 8, 9]
    assert log.end == 10


@pytest.mark.parametrize(
    "selector",
    ["", "x-opt-offset > '1'", "amqp.annotation.x-opt-offset > 'abc'",
     "amqp.annotation.x-opt-sequence-number > ''", "amqp.annotation.x-opt-offset < '1'"],
)  # fmt: skip
def test_what_is_no_position_is_refused(selector: str) -> None:
    with pytest.raises(BadPosition):
        partition(1).find(selector)


def token(resource: str, key: str = "k", until: int = 2000) -> str:
    signed = f"{quote_plus(resource)}\n{until}".encode()
    digest = base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode()
    rest = f"sig={quote_plus(digest)}&se={until}&skn=listen"
    return f"SharedAccessSignature sr={quote_plus(resource)}&{rest}"


def test_a_token_opens_what_it_names_and_what_is_below_until_it_ends() -> None:
    claims = Claims(Policy("listen", "k"))
    claims.put(token("sb://h/hub"), SAS_TYPE, "sb://h/hub", now=1000)
    assert claims.may_use("hub/ConsumerGroups/g/Partitions/0", 1000)
    assert claims.may_use("HUB", 1999)
    assert not claims.may_use("hubbub", 1000)
    assert not claims.may_use("hub", 2000)


@pytest.mark.parametrize(
    ("shown", "kind", "audience"),
    [
        (token("sb://h/hub", key="other"), SAS_TYPE, "sb://h/hub"),
        (token("sb://h/hub", until=999), SAS_TYPE, "sb://h/hub"),
        (token("sb://h/other"), SAS_TYPE, "sb://h/hub"),
        (token("sb://x/hub"), SAS_TYPE, "sb://h/hub"),
        (token("sb://h/hub"), "jwt", "sb://h/hub"),
        ("nonsense", SAS_TYPE, "sb://h/hub"),
    ],
)
def test_a_token_that_is_not_good_opens_nothing(shown: str, kind: str, audience: str) -> None:
    claims = Claims(Policy("listen", "k"))
    with pytest.raises(SasRefused):
        claims.put(shown, kind, audience, now=1000)
    assert not claims.may_use("hub", 1000)


class Reader:
    """As a link: remembers why it was lost."""

    def __init__(self, broker: Broker, epoch: int | None, group: str = "g") -> None:
        self.group = group
        self.partition = broker.partitions["0"]
        self.epoch = epoch
        self.lost = ""

    def pump(self) -> None:
        """Nothing is read."""

    def lose(self, condition: str, message: str) -> None:
        self.lost = condition


def test_without_epochs_five_may_read_a_partition() -> None:
    broker = Broker("hub", 1, 10)
    for _ in range(5):
        broker.attach(Reader(broker, None))
    with pytest.raises(ReaderRefused, match="5 receivers") as refused:
        broker.attach(Reader(broker, None))
    assert refused.value.condition == "amqp:resource-limit-exceeded"
    broker.attach(Reader(broker, None, group="another"))


def test_an_epoch_drives_out_all_that_have_none() -> None:
    broker = Broker("hub", 1, 10)
    readers = [Reader(broker, None) for _ in range(2)]
    for reader in readers:
        broker.attach(reader)
    broker.attach(Reader(broker, 0))
    assert [reader.lost for reader in readers] == ["amqp:link:stolen"] * 2
    assert broker.readers("g") == {"0": 1}
    with pytest.raises(ReaderRefused):
        broker.attach(Reader(broker, None))
