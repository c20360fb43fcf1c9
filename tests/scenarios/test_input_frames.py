"""A picture of another module, over the unpatched SDK: in by `frames`, answered on `predictions`.

Two modules of one device, each with the real SDK; the routes between them are those of
`deploy/input.template.json`.
"""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from azure.iot.device import IoTHubModuleClient, Message
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, running, wait_until

from devhub import DevHub
from visionedge import linkup
from visionedge.app import App
from visionedge.uplink.hub import InputMessage
from visionedge.wire import FramePrediction

pytestmark = pytest.mark.timeout(180)
WAIT_S = 30.0
PICTURE = Path("models/pcb-defects/golden")
ASKER = "grabber"


def board() -> bytes:
    picture = cv2.imread(str(next(PICTURE.glob("*.png"), None) or next(PICTURE.glob("*.jpg"))))
    assert picture is not None
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])


def line(folder: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - settings are JSON
    document = busy_line(folder, **changes)
    document["cameras"] = {"belt": {"kind": "input", "queue": 4}}
    return document


class Asker:
    """The other module: the real SDK, with a session of its own."""

    def __init__(self, hub: DevHub) -> None:
        given = hub.development_environment(ASKER)
        authority = Path(given["EdgeModuleCACertificateFile"]).read_text()
        self._client = IoTHubModuleClient.create_from_connection_string(
            given["EdgeHubConnectionString"], server_verification_cert=authority
        )
        self._changed = threading.Condition()
        self.answers: list[tuple[str, FramePrediction, dict[str, str]]] = []
        self._client.on_message_received = self._take
        self._client.connect()

    def ask(self, body: bytes, id_: str, correlation_id: str = "", **properties: str) -> None:
        message = Message(body, message_id=id_, content_type="image/jpeg")
        message.correlation_id = correlation_id or None
        message.custom_properties = properties
        self._client.send_message_to_output(message, "frames")

    def wait(self, correlation_id: str) -> FramePrediction:
        def found() -> list[FramePrediction]:
            return [answer for id_, answer, _ in self.answers if id_ == correlation_id]

        with self._changed:
            assert self._changed.wait_for(lambda: bool(found()), WAIT_S), self.answers
        return found()[0]

    def close(self) -> None:
        self._client.shutdown()

    def _take(self, message: Any) -> None:  # noqa: ANN401 - the SDK has no type for it
        answer = FramePrediction.read(json.loads(message.data))
        with self._changed:
            self.answers.append((message.correlation_id, answer, message.custom_properties))
            self._changed.notify_all()


def route(hub: DevHub) -> None:
    """What edgeHub does by the two routes of the template."""
    ways = {(ASKER, "frames"): "visionedge", ("visionedge", "predictions"): ASKER}

    def carry(message: Any) -> None:  # noqa: ANN401 - a message of the hub
        target = ways.get((message.module_id, message.output))
        if target is None:
            return
        system = {
            "$.mid": message.id,
            "$.cid": message.correlation_id,
            "$.ct": message.content_type,
        }
        given = {name: value for name, value in system.items() if value}
        hub.send_input(message.output, message.body, {**message.properties, **given}, target)

    hub.on_message(carry)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DevHub]:
    with DevHub(more_modules=(ASKER,)) as hub:
        for name, value in hub.environment().items():
            monkeypatch.setenv(name, value)
        route(hub)
        yield hub


@pytest.fixture
def asker(hub: DevHub) -> Iterator[Asker]:
    asker = Asker(hub)
    yield asker
    asker.close()


def test_a_picture_of_another_module_is_answered_and_escalated_like_any_frame(
    hub: DevHub, tmp_path: Path, asker: Asker
) -> None:
    with running(line(tmp_path)) as app:
        hub.wait(lambda: "visionedge" in hub.connections, WAIT_S)
        asker.ask(board(), "m-1", correlation_id="part 4711")
        answer = asker.wait("part 4711")
        assert answer.error is None
        assert (answer.request_id, answer.camera) == ("m-1", "belt")
        assert answer.model is not None
        assert answer.model.name == "pcb-defects"
        assert answer.prediction is not None
        assert answer.prediction.detections
        assert answer.decision is not None
        assert answer.decision.action == "escalate"
        hub.wait(lambda: bool(hub.messages("escalation")), WAIT_S)
        escalation = json.loads(hub.messages("escalation")[0].body)
        assert escalation["camera"] == "belt"
        assert escalation["frame"]["seq"] == answer.frame.seq if answer.frame else False
        properties = asker.answers[0][2]
        assert properties == {"schema": "prediction/1", "camera": "belt", "result": "ok"}
        assert app.metrics.value("visionedge_input_answers_total", {"result": "ok"}) == 1


def test_each_bad_picture_gets_its_reason_and_the_message_id_where_it_has_no_correlation(
    hub: DevHub, tmp_path: Path, asker: Asker
) -> None:
    whole = board()
    with running(line(tmp_path)):
        hub.wait(lambda: "visionedge" in hub.connections, WAIT_S)
        asker.ask(whole[:-900], "cut")
        asker.ask(b"no picture", "text")
        asker.ask(whole, "lost", camera="gate")
        asker.ask(whole, "good", camera="belt")
        codes = {id_: asker.wait(id_).error for id_ in ("cut", "text", "lost")}
        assert {id_: error.code for id_, error in codes.items() if error} == {
            "cut": "cut_short", "text": "not_a_jpeg", "lost": "no_camera",
        }  # fmt: skip
        lost = codes["lost"]
        assert lost is not None
        assert "gate" in lost.reason
        assert "belt" in lost.reason
        assert asker.wait("good").error is None


def test_more_pictures_than_can_be_looked_at_are_each_answered_once(
    hub: DevHub, tmp_path: Path, asker: Asker
) -> None:
    picture = board()
    with running(line(tmp_path)) as app:
        hub.wait(lambda: "visionedge" in hub.connections, WAIT_S)
        for number in range(40):
            asker.ask(picture, f"n-{number}")
        answers = {number: asker.wait(f"n-{number}") for number in range(40)}
        results = app.metrics.counts("visionedge_input_answers_total", "result")
        assert sum(results.values()) == 40
        assert set(results) <= {"ok", "busy"}
        assert results["ok"] == sum(answer.error is None for answer in answers.values())
        assert len(asker.answers) == 40


class Memory:
    """The module on the hub in memory, for what needs no wire."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub = FakeHub()
        monkeypatch.setattr(linkup, "choose", lambda *_: self.hub)
        self.app = App([line(folder)], environment=os.environ)
        self.app.start()

    def ask(self, body: bytes, id_: str, **properties: str) -> FramePrediction:
        self.hub.offer(InputMessage("frames", body, properties, id_))
        assert self.hub.wait(lambda: self._answer(id_) is not None, WAIT_S)
        answer = self._answer(id_)
        assert answer is not None
        return answer

    def _answer(self, id_: str) -> FramePrediction | None:
        found = (
            e for e in self.hub.received if e.kind == "predictions" and e.correlation_id == id_
        )
        envelope = next(found, None)
        return FramePrediction.read(json.loads(envelope.body)) if envelope else None


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    memory = Memory(tmp_path, monkeypatch)
    yield memory
    memory.app.stop(3)


def test_a_camera_of_this_kind_is_added_changed_paused_and_removed_by_patch(
    memory: Memory,
) -> None:
    picture, hub = board(), memory.hub
    hub.patch_desired({"cameras": {"gate": {"kind": "input", "max_pixels": 65_536}}})
    wait_until(lambda: "gate" in memory.app.lineup.feeds, "the second camera")
    error = memory.ask(picture, "one of two").error
    assert error is not None
    assert "no property `camera`" in error.reason
    error = memory.ask(picture, "too large", camera="gate").error
    assert error is not None
    assert error.code == "too_many_pixels"
    assert hub.invoke("pauseCamera", {"camera": "belt"}).status == 200
    error = memory.ask(picture, "paused", camera="belt").error
    assert error is not None
    assert error.code == "paused"
    assert hub.invoke("resumeCamera", {"camera": "belt"}).status == 200
    assert memory.ask(picture, "again", camera="belt").error is None
    hub.patch_desired({"cameras": {"gate": None}})
    wait_until(lambda: "gate" not in memory.app.lineup.feeds, "the camera is gone")
    assert memory.ask(picture, "the only one").error is None


def test_an_answer_that_cannot_be_sent_is_counted_and_the_module_goes_on(memory: Memory) -> None:
    memory.hub.cut()
    memory.hub.offer(InputMessage("frames", board(), {}, "away"))
    sent = {"kind": "predictions", "result": "unavailable"}
    wait_until(lambda: memory.app.metrics.value("visionedge_sent_total", sent) == 1, "the count")
    memory.hub.restore()
    assert memory.ask(board(), "back").error is None


def test_a_message_on_another_input_and_an_id_that_is_too_long_do_no_harm(memory: Memory) -> None:
    memory.hub.offer(InputMessage("noises", board(), {}, "x"))
    memory.hub.offer(InputMessage("frames", board(), {}, "x" * 5000, "y" * 5000))
    wait_until(
        lambda: memory.app.metrics.value("visionedge_input_answers_total") == 1, "one answer"
    )
    assert memory.ask(np.zeros(5000, np.uint8).tobytes(), "after").error is not None
