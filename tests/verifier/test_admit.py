"""Nothing bad is paid for: every fault of a message is found before a Vision API is called."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud import META, Cloud, body, escalation, jpeg

from verifier.admit import Meta, admit
from verifier.core import Kind
from verifier.errors import PoisonMessage
from verifier.jpeg_header import jpeg_size

GIGAPIXEL = b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(16)


def with_image(picture: bytes = b"", **changes: object) -> bytes:
    """An escalation whose picture is stated rightly, but for `changes`."""
    message = escalation(picture=picture or jpeg())
    return json.dumps(message | {"image": message["image"] | changes}).encode()


BAD: dict[str, tuple[bytes, str]] = {
    "not json": (b"{", "not_json"),
    "deep nesting": (b"[" * 200_000, "not_json"),
    "not utf-8": (b'{"schema": "\xff"}', "not_json"),
    "a list": (b"[1]", "unknown_schema"),
    "another schema": (body(schema="escalation/2"), "unknown_schema"),
    "too long": (b" " * (256 * 1024 + 1), "too_large"),
    "no id": (body(id=""), "bad_field"),
    "no expiry": (body(expires_at=None), "bad_field"),
    "not base64": (with_image(data="!!!"), "not_base64"),
    "cut short": (with_image(data=base64.b64encode(jpeg()[:-9]).decode()), "wrong_length"),
    "another's hash": (with_image(sha256=hashlib.sha256(b"x").hexdigest()), "wrong_hash"),
    "a PNG": (with_image(b"\x89PNG\r\n\x1a\n" + bytes(64)), "not_jpeg"),
    "no frame in it": (with_image(b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xd9"), "not_jpeg"),
    "other dimensions": (with_image(width=65), "wrong_dimensions"),
    "a gigapixel": (with_image(GIGAPIXEL, width=65535, height=65535), "too_many_pixels"),
}


@pytest.mark.parametrize(("message", "reason"), BAD.values(), ids=BAD)
def test_a_bad_message_is_set_aside_unpaid_with_its_reason(message: bytes, reason: str) -> None:
    cloud = Cloud()
    outcome = cloud.core.handle(message, META)
    assert (outcome.kind, outcome.reason) == (Kind.POISON, reason)
    assert cloud.backends[0].calls == 0
    (key,) = cloud.store.keys("dead/")
    stored = cloud.store.read(key)
    assert stored
    letter = json.loads(stored.value)
    assert letter["reason"] == reason
    assert letter["position"] == META.position
    assert base64.b64decode(letter["body"]) == message[: 256 * 1024]


def test_a_bad_message_that_comes_twice_is_set_aside_once() -> None:
    cloud = Cloud()
    for _ in range(2):
        assert cloud.core.handle(b"{", META).kind is Kind.POISON
    assert len(list(cloud.store.keys("dead/"))) == 1


def test_a_message_without_a_sender_cannot_be_answered() -> None:
    with pytest.raises(PoisonMessage) as caught:
        admit(body(), Meta("line-1", ""))
    assert caught.value.reason == "no_sender"


def test_the_sender_is_who_the_hub_says_whatever_the_body_says() -> None:
    admitted = admit(body(device_id="line-9", module_id="other"), META)
    assert (admitted.case.device_id, admitted.case.module_id) == ("line-1", "visionedge")


def test_fields_of_a_newer_module_are_no_fault() -> None:
    assert admit(body(colour_of_the_line="green"), META).picture.width == 64


@given(st.binary(max_size=400))
def test_any_bytes_are_admitted_or_refused_by_name(message: bytes) -> None:
    with pytest.raises(PoisonMessage):
        admit(message, META)


@given(st.integers(1, 3000), st.integers(1, 3000), st.binary(max_size=64))
def test_the_size_of_a_jpeg_is_read_from_its_header(width: int, height: int, junk: bytes) -> None:
    comment = b"\xff\xfe" + (len(junk) + 2).to_bytes(2) + junk
    frame = b"\xff\xc2\x00\x11\x08" + height.to_bytes(2) + width.to_bytes(2) + bytes(10)
    assert jpeg_size(b"\xff\xd8" + comment + b"\xff" + frame) == (width, height)


@given(st.binary(max_size=200))
def test_a_header_of_any_bytes_ends_in_a_size_or_a_value_error(junk: bytes) -> None:
    try:
        width, height = jpeg_size(b"\xff\xd8\xff" + junk)
    except ValueError:
        return
    assert 0 <= width <= 65535
    assert 0 <= height <= 65535


def test_real_jpegs_have_the_size_that_they_were_made_with() -> None:
    assert jpeg_size(jpeg(123, 45)) == (123, 45)
