"""The two encodings of IoT Hub that are easily got wrong: property bags and SAS tokens."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhub import sas, topics

KEY = b"k" * 32
RESOURCE = "hub.example/devices/d/modules/m"
NOW = 1_000_000


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_any_properties_survive_the_topic(properties: dict[str, str]) -> None:
    bag = topics.encode_bag(properties)
    assert not set(bag) & set("/+# ")
    assert topics.decode_bag(bag) == properties


def test_a_plus_is_a_plus() -> None:
    assert topics.decode_bag("a=1+2&b=%2B%20&c&d=e%3Df") == {
        "a": "1+2",
        "b": "+ ",
        "c": "",
        "d": "e=f",
    }
    assert topics.decode_bag("") == {}


@pytest.mark.parametrize(
    ("topic_filter", "topic", "taken"),
    [
        ("$iothub/methods/POST/#", "$iothub/methods/POST/m/?$rid=1", True),
        ("$iothub/methods/POST/#", "$iothub/methods/POST", True),
        ("$iothub/methods/POST/#", "$iothub/methods/GET/m", False),
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
        ("a/+", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a/b", "a/b", True),
    ],
)
def test_filters_match_as_mqtt_says(topic_filter: str, topic: str, taken: bool) -> None:
    assert topics.matches(topic_filter, topic) is taken


def test_a_method_s_status_is_read_from_its_topic() -> None:
    assert topics.method_status("$iothub/methods/res/200/?$rid=1") == 200
    with pytest.raises(ValueError, match="invalid literal"):
        topics.method_status("$iothub/methods/res/ok/?$rid=1")


def _password(resource: str = RESOURCE, key: bytes = KEY, end: int = NOW + 60) -> bytes:
    quoted = quote(resource, safe="")
    signature = base64.b64encode(sas.sign(key, f"{quoted}\n{end}")).decode()
    return f"SharedAccessSignature sr={quoted}&sig={quote(signature, safe='')}&se={end}".encode()


def test_a_good_token_is_believed() -> None:
    token = sas.parse(_password())
    assert (token.resource, token.expires_at) == (RESOURCE, NOW + 60)
    sas.verify(token, KEY, RESOURCE, NOW)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (_password(key=b"other"), "another key"),
        (_password(resource=RESOURCE + "2"), "not for"),
        (_password(end=NOW), "expired 0 s ago"),
        (_password().replace(b"&se=", b"&se=9"), "another key"),
    ],
)
def test_a_token_that_is_not_good_says_why_and_no_secret(password: bytes, reason: str) -> None:
    token = sas.parse(password)
    with pytest.raises(sas.SasRefused, match=reason):
        sas.verify(token, KEY, RESOURCE, NOW)
    assert base64.b64encode(token.signature).decode() not in repr(token)
    assert "signature" not in repr(token)


@pytest.mark.parametrize(
    "password",
    [None, b"", b"hunter2", b"\xff", b"SharedAccessSignature sr=a&se=1", b"sr=a&sig=a&se=1"],
)
def test_what_is_no_token_is_refused(password: bytes | None) -> None:
    with pytest.raises(sas.SasRefused, match="no SharedAccessSignature"):
        sas.parse(password)
