"""Faces and other private things: coarsened before a picture can be encoded, or not sent."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.detectors import MODEL, BrokenDetector, NonsenseDetector
from tests.support.predictions import NOON, boxes, frame, texture

from visionedge.entities import Action, Decision, Image
from visionedge.errors import RedactionError, SettingsError
from visionedge.escalation.faces import FaceFinder
from visionedge.escalation.redact import Redactor
from visionedge.escalation.snapshot import Snapshots
from visionedge.runtime.clock import FakeClock
from visionedge.settings import resolve
from visionedge.wire import ModelBody

CROWD = MODEL.parents[2] / "images/face/linzaer_6.jpg"
needs_model = pytest.mark.skipif(not MODEL.exists(), reason=f"{MODEL} is not there")


def redactor(**redaction: object) -> Redactor:
    return Redactor(resolve([{"escalation": {"redaction": redaction}}]))


def crowd() -> Image:
    image = cv2.imread(str(CROWD))
    assert image is not None
    return image.astype(np.uint8)


@needs_model
def test_no_face_that_was_found_is_found_again_in_what_leaves() -> None:
    finder = FaceFinder(str(MODEL), 0.4)
    redacted = redactor(face_model=str(MODEL)).redact(frame(crowd()), boxes())
    assert redacted.masked == len(finder.find(crowd())) >= 10
    assert not redacted.pixels.flags.writeable
    for again in finder.find(redacted.pixels):
        # A pattern of coarse patches may look like a face of its own, but is none of these.
        middle = (again[:2] + again[2:]) / 2
        for face in finder.find(crowd()):
            size = face[2:] - face[:2]
            near = (abs(middle - (face[:2] + face[2:]) / 2) < size / 3).all()
            assert not (near and (abs(again[2:] - again[:2] - size) < size / 2).all())


@needs_model
def test_what_is_not_a_face_is_left_as_it_was() -> None:
    image = crowd()
    redacted = redactor(face_model=str(MODEL)).redact(frame(image.copy()), boxes())
    changed = (redacted.pixels != image).any(axis=2)
    inside = np.zeros_like(changed)
    for x1, y1, x2, y2 in FaceFinder(str(MODEL), 0.4).find(image):
        w, h = x2 - x1, y2 - y1
        inside[max(0, int(y1 - h)) : int(y2 + h), max(0, int(x1 - w)) : int(x2 + w)] = True
    assert changed.any()
    assert not (changed & ~inside).any()


@needs_model
@pytest.mark.parametrize("detector", [BrokenDetector(), NonsenseDetector()])
def test_a_detector_that_fails_gives_no_picture(detector: BrokenDetector) -> None:
    snapshots = Snapshots(
        resolve([{"escalation": {"redaction": {"face_model": str(MODEL)}}}]), FakeClock(NOON)
    )
    faces = snapshots._redactor._faces
    assert faces is not None
    faces._detector = detector  # type: ignore[assignment] # the vendor, failing
    decision = Decision(Action.ESCALATE, "margin", 0.5, 1)
    with pytest.raises(RedactionError):
        snapshots.make(frame(), boxes(), decision, ModelBody(name="m"))


@needs_model
def test_a_frame_without_pixels_gives_no_picture() -> None:
    with pytest.raises(RedactionError):
        FaceFinder(str(MODEL), 0.5).find(np.zeros((0, 0, 3), np.uint8))


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", None])
def test_a_file_that_is_no_face_detector_is_refused_with_its_setting(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "faces.onnx"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        redactor(face_model=str(file))
    assert list(refused.value.fields) == ["escalation.redaction.face_model"]


def test_another_model_is_no_face_detector() -> None:
    with pytest.raises(SettingsError):
        redactor(face_model="models/pcb-defects/model.onnx")


def test_hidden_labels_are_coarsened_however_unsure_and_the_rest_is_not() -> None:
    image = texture(640, 480)
    people = boxes(
        0.12,
        0.9,
        labels=("Person", "car"),
        class_id=[0, 1],
        xyxy=[(100, 100, 200, 300), (400, 100, 500, 300)],
    )
    redacted = redactor(hide=["person"]).redact(frame(image.copy()), people)
    assert redacted.masked == 1
    person, car = (np.s_[100:300, 100:200], np.s_[100:300, 400:500])
    assert redacted.pixels[person].std() < 0.2 * image[person].std()
    assert (redacted.pixels[car] == image[car]).all()


def test_a_hidden_box_beyond_the_border_or_without_area_is_no_error() -> None:
    odd = boxes(0.9, 0.9, 0.9, xyxy=[(-50, -50, 20, 20), (700, 500, 800, 600), (9, 9, 9, 9)])
    redacted = redactor(hide=["open"]).redact(frame(texture(640, 480)), odd)
    assert redacted.masked == 3


def test_the_message_counts_what_was_hidden() -> None:
    snapshots = Snapshots(
        resolve([{"escalation": {"redaction": {"hide": ["open"]}}}]), FakeClock(NOON)
    )
    decision = Decision(Action.ESCALATE, "margin", 0.5, 1)
    envelope, _ = snapshots.make(frame(), boxes(0.9, 0.8), decision, ModelBody(name="m"))
    assert json.loads(envelope.body)["image"]["masked"] == 2
