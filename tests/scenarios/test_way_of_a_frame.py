"""One frame all the way: camera, model, decision, spool, real SDK over TLS, hub, verdict, back."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.running import busy_line, running, wait_until

from demo.oracle import LineOracle
from devhub import DevHub
from devhub.ledger import DeviceMessage
from devhub.verifier import Verifier
from visionedge.settings import PatternCamera
from visionedge.wire import (
    MAX_MESSAGE_BYTES,
    CameraTelemetry,
    Escalation,
    Health,
    Telemetry,
)

pytestmark = pytest.mark.timeout(120)


def wait_for(hub: DevHub, output: str, count: int) -> Sequence[DeviceMessage]:
    hub.wait(lambda: len(hub.messages(output=output)) >= count, timeout_s=40)
    return hub.messages(output=output)


def test_an_escalation_reaches_the_hub_as_the_wire_says(devhub: DevHub, tmp_path: Path) -> None:
    with running(busy_line(tmp_path)):
        message = wait_for(devhub, "escalation", 1)[0]
    assert message.content_type == "application/json"
    assert message.content_encoding == "utf-8"
    assert message.size_bytes <= 256 * 1024
    assert len(message.body) <= MAX_MESSAGE_BYTES
    body = Escalation.model_validate_json(message.body)
    assert message.id == body.id
    assert message.properties["schema"] == "escalation/1"
    assert message.properties["camera"] == body.camera == "line-1"
    assert message.properties["reason"] == body.reason
    jpeg = base64.b64decode(body.image.data, validate=True)
    assert hashlib.sha256(jpeg).hexdigest() == body.image.sha256
    assert len(jpeg) == body.image.size_bytes <= 180_000
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (body.image.height, body.image.width, 3)
    assert body.prediction.detections


def test_verdicts_come_back_and_settle_each_escalation_once(devhub: DevHub, tmp_path: Path) -> None:
    camera = PatternCamera(kind="pattern", defect_rate=6, fps=15)
    with (
        Verifier(devhub, LineOracle("line-1", camera), delay_s=0.2) as verifier,
        running(busy_line(tmp_path)) as app,
    ):
        wait_for(devhub, "escalation", 5)
        wait_until(lambda: verifier.counts.statuses["merged"] >= 5, "five verdicts merged")
        outcomes = app.metrics.counts("visionedge_resolutions_total", "outcome")
    assert sum(outcomes.values()) >= 5
    assert outcomes.keys() <= {"confirmed", "corrected", "rejected", "missed"}
    assert verifier.counts.statuses["unknown"] == 0
    assert verifier.counts.failed == 0


def windows(hub: DevHub) -> list[Telemetry]:
    sent = hub.messages(output="telemetry")
    return [Telemetry.model_validate_json(message.body) for message in sent]


def line_of(window: Telemetry) -> CameraTelemetry:
    return window.cameras["line-1"]


def test_telemetry_and_health_tell_of_the_line(devhub: DevHub, tmp_path: Path) -> None:
    with running(busy_line(tmp_path, telemetry={"interval_s": 1})):
        devhub.wait(lambda: any(line_of(each).processed for each in windows(devhub)), timeout_s=40)
        window = next(each for each in windows(devhub) if line_of(each).processed)
        health = Health.model_validate_json(wait_for(devhub, "health", 1)[0].body)
    line = line_of(window)
    # Captured and processed are read at two moments: a frame may be between them.
    assert line.processed > 0
    assert line.captured > 0
    assert line.latency is not None
    assert (health.part, health.state) == ("camera/line-1", "running")


def test_a_status_call_is_answered_and_nonsense_too(devhub: DevHub, tmp_path: Path) -> None:
    with running(busy_line(tmp_path)):
        devhub.wait(lambda: bool(devhub.connections), timeout_s=40)
        wait_for(devhub, "escalation", 1)
        status = devhub.invoke_method("status", None)
        unknown = devhub.invoke_method("makeCoffee", {"sugar": 2})
        refused = devhub.invoke_method("applyVerdict", {"verdicts": [{"escalation_id": 7}]})
    assert status.status == 200
    assert status.payload["cameras"] == {"line-1": "running"}
    assert unknown.status == 404
    assert "applyVerdict" in unknown.payload["error"]
    assert refused.status == 400
    assert any(path.startswith("verdicts.0.") for path in refused.payload["fields"])
