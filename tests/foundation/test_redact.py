"""No secret leaves by a log line or an error, however an address is written."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.runtime.redact import redact

_SECRET = "s3cret"
_ANY = st.text(st.sampled_from(string.ascii_letters + string.digits + "!#$%&()*+,-./:;=?@[]^_{|}~"))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("rtsp://admin:s3cret@10.0.0.5:554/live", "rtsp://***@10.0.0.5:554/live"),
        ("http://s3cret@camera/video.mjpg", "http://***@camera/video.mjpg"),
        ("rtsps://a:p@s3cret@camera/x", "rtsps://***@camera/x"),
        ("rtsp://a:s3c/r#et@camera/x", "rtsp://***@camera/x"),
        ("http://camera/v?user=ann&password=s3cret&w=1", "http://camera/v?user=ann&password=***&w=1"),
        ("http://camera/v?access_token=s3cret", "http://camera/v?access_token=***"),
        ("https://x.blob/a?sv=1&sig=s3cret%3D", "https://x.blob/a?sv=1&sig=***"),
        ("http://camera/v?apiKey=s3cret#top", "http://camera/v?apiKey=***"),
        ("rtsp://camera/user=ann_password=s3cret_channel=1", "rtsp://camera/user=ann_password=***"),
        ("https://models/get?code=s3cret==&v=2", "https://models/get?code=***&v=2"),
        ("HostName=hub;SharedAccessKey=s3cr/et+=;x=1", "HostName=hub;SharedAccessKey=***;x=1"),
        ("two: rtsp://a:s3cret@b/c, http://d:s3cret@e/f", "two: rtsp://***@b/c, http://***@e/f"),
    ],
)  # fmt: skip
def test_a_secret_is_hidden_and_the_rest_stays(text: str, safe: str) -> None:
    assert redact(text) == safe


@pytest.mark.parametrize(
    "text", ["", "rtsp://10.0.0.5/live", "http://camera:81/video?width=640", "mail ann@example.com"]
)
def test_text_without_a_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


@given(before=_ANY, after=_ANY)
def test_no_password_shows_whatever_else_is_in_it(before: str, after: str) -> None:
    assert _SECRET not in redact(f"cannot open rtsp://admin:{before}{_SECRET}{after}@camera/live")


@given(name=st.sampled_from(["password", "PWD", "auth-token", "x_sig", "api.key"]), before=_ANY)
def test_no_named_value_shows_up_to_its_end(name: str, before: str) -> None:
    ends = {"&", ";"}
    value = "".join(letter for letter in before if letter not in ends) + _SECRET
    assert _SECRET not in redact(f"http://camera/v?{name}={value}&w=1")


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact("rtsp://a:b@c/d?token=e")
    assert redact(once) == once
