"""What leaves and enters the module: the same on both sides, and limited on the way in."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from tests.foundation.messages import MESSAGES, VERDICTS

from visionedge import wire

SCHEMAS = {
    name: Draft202012Validator(message.model_json_schema(by_alias=True))
    for name, message in wire.MESSAGES.items()
}
VERDICT: dict[str, Any] = {
    "schema": "verdict/1",
    "verdict_id": "v1",
    "escalation_id": "e1",
    "verified_at": "2026-11-21T10:00:00Z",
    "verifier": {"name": "person"},
    "detections": [{"label": "short", "confidence": 0.9, "box": [0, 0, 0.5, 0.5]}],
}


def test_every_message_has_a_strategy() -> None:
    assert MESSAGES.keys() == wire.MESSAGES.keys()


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=50)
@given(data=st.data())
def test_a_message_comes_back_as_it_left(name: str, data: st.DataObject) -> None:
    message = data.draw(MESSAGES[name])
    assert wire.MESSAGES[name].model_validate_json(message.encode()) == message


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=50)
@given(data=st.data())
def test_what_is_encoded_obeys_its_schema_and_holds_no_null(name: str, data: st.DataObject) -> None:
    body = json.loads(data.draw(MESSAGES[name]).encode())
    SCHEMAS[name].validate(body)
    assert body["schema"] == name
    assert not [path for path, value in leaves(body) if value is None]


def leaves(value: object, path: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in leaves(v, f"{path}.{k}")]
    if isinstance(value, list):
        return [leaf for i, v in enumerate(value) for leaf in leaves(v, f"{path}[{i}]")]
    return [(path, value)]


@given(VERDICTS)
def test_fields_of_a_newer_verifier_are_ignored(verdict: wire.Verdict) -> None:
    newer = json.loads(verdict.encode()) | {"mood": "good"}
    newer["verifier"]["mood"] = "good"
    assert wire.Verdict.model_validate(newer) == verdict


def test_a_message_of_another_version_is_refused() -> None:
    with pytest.raises(ValidationError, match="schema"):
        wire.Verdict.model_validate({**VERDICT, "schema": "verdict/2"})


BAD_VERDICTS: list[tuple[dict[str, Any], str]] = [
    ({"verdict_id": ""}, "verdict_id"),
    ({"verdict_id": "a" * 65}, "verdict_id"),
    ({"escalation_id": "../../etc"}, "escalation_id"),
    ({"escalation_id": None}, "escalation_id"),
    ({"verified_at": "2026-11-21T10:00:00"}, "verified_at"),
    ({"verified_at": "yesterday"}, "verified_at"),
    ({"verifier": {"name": "x" * 257}}, "verifier.name"),
    ({"status": "maybe"}, "status"),
    ({"classes": [{"label": "a", "confidence": 1.5}]}, "classes.0.confidence"),
    ({"classes": [{"label": "a", "confidence": float("nan")}]}, "classes.0.confidence"),
    ({"detections": [{"label": "a", "confidence": 1, "box": [0, 0, 1]}]}, "detections.0.box.3"),
    ({"detections": [{"label": "a", "confidence": 1, "box": [0, 0, 1, 2]}]}, "detections.0.box.3"),
    ({"detections": VERDICT["detections"] * 1001}, "detections"),
    ({"detections": "many"}, "detections"),
]


@pytest.mark.parametrize(("change", "field"), BAD_VERDICTS, ids=[f for _, f in BAD_VERDICTS])
def test_a_bad_field_of_a_verdict_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        wire.Verdict.model_validate({**VERDICT, **change})
    assert field in {".".join(map(str, error["loc"])) for error in caught.value.errors()}


def test_the_good_verdict_behind_the_bad_ones_is_good() -> None:
    assert wire.Verdict.model_validate(VERDICT).status == "verified"


@pytest.mark.parametrize("count", [0, 257])
def test_a_method_call_carries_one_to_256_verdicts(count: int) -> None:
    with pytest.raises(ValidationError, match="verdicts"):
        wire.Verdicts.model_validate({"verdicts": [VERDICT] * count})
    assert len(wire.Verdicts.model_validate({"verdicts": [VERDICT] * 256}).verdicts) == 256


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"verdicts":' + b"[" * 100_000, b'{"verdicts": 7}'],
    ids=["empty", "null", "list", "cut", "binary", "deep", "number"],
)
def test_hostile_bytes_are_refused_and_nothing_else(text: bytes) -> None:
    with pytest.raises(ValidationError):
        wire.Verdicts.model_validate_json(text)


@given(st.binary(max_size=200))
def test_random_bytes_never_crash_the_reader(text: bytes) -> None:
    with pytest.raises(ValidationError):
        wire.Verdicts.model_validate_json(text)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_is_refused_before_it_leaves(number: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        wire.LatencyBody(p50_ms=number, p95_ms=1, p99_ms=1)


def test_a_message_cannot_be_changed() -> None:
    verdict = wire.Verdict.model_validate(VERDICT)
    with pytest.raises(ValidationError, match="frozen"):
        verdict.status = "unverified"  # type: ignore[misc]  # that it is refused is the test


def test_the_largest_picture_fits_into_a_message_with_room_to_spare() -> None:
    base64_bytes = (180_000 + 2) // 3 * 4
    assert wire.MAX_MESSAGE_BYTES - base64_bytes >= 5_000
