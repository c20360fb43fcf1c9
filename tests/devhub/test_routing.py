"""Routes take what their condition says, and nothing that they do not understand."""

import datetime as dt

import pytest

from devhub.ledger import DeviceMessage
from devhub.routing import BadCondition, Route, stamps

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def message(**properties: str) -> DeviceMessage:
    return DeviceMessage(
        device_id="line-1", module_id="visionedge", id="m1", output="escalation", body=b"{}",
        properties=properties, content_type="application/json", content_encoding="utf-8",
        correlation_id="", user_id="", expires_at="", dup=False, size_bytes=2, received_at=NOW,
        sequence=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("true", True),
        ("schema = 'escalation/1'", True),
        ("schema='escalation/1'", True),
        ("schema = 'telemetry/1'", False),
        ("schema != 'telemetry/1'", True),
        ("schema <> 'escalation/1'", False),
        ("absent = 'x'", False),
        ("absent != 'x'", False),
        ("schema = 'escalation/1' AND camera = 'top'", True),
        ("schema = 'escalation/1' and camera = 'side'", False),
        ("schema = 'telemetry/1' OR schema = 'escalation/1'", True),
        ("schema = 'telemetry/1' or camera = 'side'", False),
        ("camera = 'side' AND absent = 'x' OR camera = 'top'", True),
        ("camera = 'top' OR absent = 'x' AND absent = 'y'", True),
    ],
)
def test_a_condition_takes_what_it_says(condition: str, taken: bool) -> None:
    assert Route(condition).takes(message(schema="escalation/1", camera="top")) is taken


@pytest.mark.parametrize(
    "condition", ["", "schema", "schema = escalation", "$body.x = 'y'", "a = 'b' OR c", "(a = 'b')"]
)
def test_a_condition_that_is_not_understood_is_an_error(condition: str) -> None:
    with pytest.raises(BadCondition):
        Route(condition)


def test_what_is_stamped_is_the_hubs_word_and_not_the_devices() -> None:
    stamped = stamps(message(**{"iothub-connection-device-id": "another"}))
    assert stamped["iothub-connection-device-id"] == "line-1"
    assert stamped["iothub-connection-module-id"] == "visionedge"
    assert stamped["iothub-enqueuedtime"] == NOW
