"""Strategies for every message of the wire, anywhere within its limits."""

from datetime import UTC
from typing import Final

from hypothesis import strategies as st

from visionedge import wire

# JSON in UTF-8 has no lone surrogates.
TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=20)
IDS: Final = st.text("AZaz09_.:-", min_size=1, max_size=64)
SHA256: Final = st.binary(min_size=32, max_size=32).map(bytes.hex)
TIMES: Final = st.datetimes(timezones=st.just(UTC))
UNITS: Final = st.floats(0, 1)
COUNTS: Final = st.integers(0, 2**52)
COUNTED: Final = st.dictionaries(TEXT, COUNTS, max_size=3)
PIXELS: Final = st.integers(1, 8192)

OBJECTS: Final = st.builds(
    wire.DetectedObject,
    class_id=st.none() | COUNTS,
    label=TEXT,
    confidence=UNITS,
    box=st.tuples(UNITS, UNITS, UNITS, UNITS),
)
CLASSES: Final = st.builds(
    wire.NamedClass, class_id=st.none() | COUNTS, label=TEXT, confidence=UNITS
)
PREDICTIONS: Final = st.builds(
    wire.PredictionBody,
    task=st.sampled_from(["detection", "classification"]),
    detections=st.lists(OBJECTS, max_size=3),
    classes=st.lists(CLASSES, max_size=3),
)
IMAGES: Final = st.builds(
    wire.ImageBody,
    width=PIXELS,
    height=PIXELS,
    crop=st.tuples(PIXELS, PIXELS, PIXELS, PIXELS),
    quality=st.integers(1, 100),
    masked=COUNTS,
    sha256=SHA256,
    size_bytes=st.integers(1, 180_000),
    data=st.sampled_from(["", "/9j/4AAQ"]),
)
ESCALATIONS: Final = st.builds(
    wire.Escalation,
    id=IDS,
    created_at=TIMES,
    expires_at=TIMES,
    camera=TEXT,
    frame=st.builds(wire.FrameBody, seq=COUNTS, captured_at=TIMES, width=PIXELS, height=PIXELS),
    model=st.builds(wire.ModelBody, name=TEXT, version=TEXT, sha256=st.none() | SHA256),
    reason=TEXT,
    score=UNITS,
    settings_revision=COUNTS,
    prediction=PREDICTIONS,
    image=IMAGES,
)
VERDICTS: Final = st.builds(
    wire.Verdict,
    verdict_id=IDS,
    escalation_id=IDS,
    verified_at=TIMES,
    verifier=st.builds(wire.VerifierBody, name=TEXT, version=TEXT),
    status=st.sampled_from(["verified", "unverified"]),
    detections=st.lists(OBJECTS, max_size=3),
    classes=st.lists(CLASSES, max_size=3),
)
_MILLISECONDS: Final = st.floats(0, 1e6)
CAMERAS: Final = st.builds(
    wire.CameraTelemetry,
    captured=COUNTS,
    processed=COUNTS,
    dropped=COUNTED,
    accepted=COUNTS,
    escalated=COUNTS,
    suppressed=COUNTS,
    labels=COUNTED,
    reasons=COUNTED,
    latency=st.none()
    | st.builds(wire.LatencyBody, p50_ms=_MILLISECONDS, p95_ms=_MILLISECONDS, p99_ms=_MILLISECONDS),
)
TELEMETRY: Final = st.builds(
    wire.Telemetry,
    id=IDS,
    window_start=TIMES,
    window_end=TIMES,
    settings_revision=COUNTS,
    cameras=st.dictionaries(TEXT, CAMERAS, max_size=2),
    resolutions=COUNTED,
    spool=st.builds(
        wire.SpoolTelemetry, messages=COUNTS, size_bytes=COUNTS, unanswered=COUNTS, lost=COUNTED
    ),
    link=st.sampled_from(["online", "degraded", "offline", "draining"]),
)
HEALTH: Final = st.builds(wire.Health, id=IDS, at=TIMES, part=TEXT, state=TEXT, detail=TEXT)

QUERIES: Final = st.builds(
    wire.VerdictQuery,
    id=IDS,
    created_at=TIMES,
    escalation_ids=st.lists(IDS, min_size=1, max_size=5),
)
ANSWERS: Final = st.builds(
    wire.FramePrediction,
    id=IDS,
    request_id=TEXT,
    at=TIMES,
    camera=TEXT,
    frame=st.none()
    | st.builds(wire.FrameBody, seq=COUNTS, captured_at=TIMES, width=PIXELS, height=PIXELS),
    model=st.none() | st.builds(wire.ModelBody, name=TEXT, version=TEXT, sha256=SHA256),
    decision=st.none()
    | st.builds(
        wire.DecisionBody,
        action=st.sampled_from(["accept", "escalate", "suppress"]),
        reason=TEXT,
        score=UNITS,
        settings_revision=COUNTS,
    ),
    prediction=st.none() | PREDICTIONS,
    error=st.none() | st.builds(wire.RefusedBody, code=TEXT, reason=TEXT),
)

MESSAGES: Final[dict[str, st.SearchStrategy[wire.Message]]] = {
    "escalation/1": ESCALATIONS,
    "verdict/1": VERDICTS,
    "telemetry/1": TELEMETRY,
    "health/1": HEALTH,
    "prediction/1": ANSWERS,
    "verdict-query/1": QUERIES,
}
