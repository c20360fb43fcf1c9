"""Escalations read and verdicts written: the two messages between a module and its verifier.

The wire is JSON, named `escalation/1` and `verdict/1`. Boxes in both are x1, y1, x2, y2 from 0 to 1
of the image that was sent, so neither side needs to know how the other scaled it. Only the few
fields that a verifier cannot do without are demanded here.
"""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Final, NotRequired, TypeAlias, TypedDict

from devhub.twin import JsonObject

ESCALATION_SCHEMA: Final = "escalation/1"
VERDICT_SCHEMA: Final = "verdict/1"


class InvalidEscalation(Exception):
    """The message is no `escalation/1`; the text says what is missing."""


class Sighting(TypedDict):
    """Something that an oracle sees; a whole-image class has no box."""

    label: str
    confidence: float
    box: NotRequired[list[float]]


Oracle: TypeAlias = Callable[[JsonObject], Sequence[Sighting] | None]
"""Tells what is in an escalation's picture; None when it cannot tell."""


def confirm(escalation: JsonObject) -> list[Sighting]:
    """An oracle that believes the module's own prediction."""
    prediction = escalation["prediction"]
    found = prediction.get("detections") or prediction.get("classes") or []
    return [
        Sighting(label=each["label"], confidence=1.0, box=list(each["box"]))
        if "box" in each
        else Sighting(label=each["label"], confidence=1.0)
        for each in found
    ]


def parse_escalation(body: bytes) -> JsonObject:
    """Reads an `escalation/1`.

    Raises:
        InvalidEscalation: It is no JSON, another schema, or lacks what a verdict needs.
    """
    try:
        escalation = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidEscalation(f"no JSON: {error}") from error
    if not isinstance(escalation, dict) or escalation.get("schema") != ESCALATION_SCHEMA:
        raise InvalidEscalation(f"the schema is not {ESCALATION_SCHEMA!r}")
    if not isinstance(escalation.get("id"), str) or not escalation["id"]:
        raise InvalidEscalation("id is missing")
    if not isinstance(escalation.get("prediction"), dict):
        raise InvalidEscalation("prediction is missing")
    expires_at(escalation)
    return escalation


def expires_at(escalation: JsonObject) -> dt.datetime:
    """When a verdict is of no more use.

    Raises:
        InvalidEscalation: The field is absent or no time with a zone.
    """
    try:
        when = dt.datetime.fromisoformat(escalation["expires_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEscalation("expires_at is no ISO 8601 time") from error
    if when.tzinfo is None:
        raise InvalidEscalation("expires_at has no time zone")
    return when


def build_verdict(
    escalation: JsonObject, sightings: Sequence[Sighting] | None, verifier: str, version: str
) -> JsonObject:
    """Writes the `verdict/1` for an escalation; without sightings it is `unverified`."""
    seen = sightings or ()
    return {
        "schema": VERDICT_SCHEMA,
        "verdict_id": str(uuid.uuid4()),
        "escalation_id": escalation["id"],
        "verified_at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "verifier": {"name": verifier, "version": version},
        "status": "unverified" if sightings is None else "verified",
        "detections": [dict(each) for each in seen if "box" in each],
        "classes": [dict(each) for each in seen if "box" not in each],
    }
