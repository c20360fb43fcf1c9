"""The envelope that asks about a frame: what is in it, and that it always fits."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.predictions import NOON, boxes, classes, frame, texture

from visionedge.entities import Action, Decision, Envelope, Frame, Image, Kind, Prediction
from visionedge.escalation.snapshot import Snapshots
from visionedge.runtime.clock import FakeClock
from visionedge.settings import resolve
from visionedge.wire import MAX_MESSAGE_BYTES, Escalation, ModelBody

PLAIN = {
    "decision": {"accept": 0.5},
    "models": {"default": {"path": "m", "floor": 0.1}},
}
DECISION = Decision(Action.ESCALATE, "below_threshold", 0.75, 9)
MODEL = ModelBody(name="pcb-defects", version="1.0", sha256="ab" * 32)


def make(
    prediction: Prediction,
    of: Frame | None = None,
    model: ModelBody = MODEL,
    decision: Decision = DECISION,
    **sections: Any,  # noqa: ANN401 - settings as JSON
) -> tuple[Envelope, dict[str, Any]]:
    snapshots = Snapshots(resolve([PLAIN, sections]), FakeClock(NOON + timedelta(seconds=1)))
    envelope, note = snapshots.make(of or frame(), prediction, decision, model)
    return envelope, dict(note)


def message(
    prediction: Prediction,
    of: Frame | None = None,
    **sections: Any,  # noqa: ANN401 - settings as JSON
) -> Escalation:
    return Escalation.model_validate_json(make(prediction, of, **sections)[0].body)


def picture(sent: Escalation) -> Image:
    body = base64.b64decode(sent.image.data, validate=True)
    assert len(body) == sent.image.size_bytes
    assert hashlib.sha256(body).hexdigest() == sent.image.sha256
    image = cv2.imdecode(np.frombuffer(body, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape[:2] == (sent.image.height, sent.image.width)
    return image.astype(np.uint8)


def test_the_message_says_what_was_seen_where_and_why_it_is_asked() -> None:
    envelope, _ = make(boxes(0.9, 0.4), frame(seq=12), escalation={"ttl_s": 60})
    sent = Escalation.model_validate_json(envelope.body)
    jsonschema.validate(json.loads(envelope.body), Escalation.model_json_schema())
    assert (sent.id, sent.camera, sent.frame.seq) == (envelope.id, "line-1", 12)
    assert (sent.reason, sent.score, sent.settings_revision) == ("below_threshold", 0.75, 9)
    assert sent.model == MODEL
    assert sent.frame.captured_at == NOON
    assert sent.expires_at - sent.created_at == timedelta(seconds=60)
    assert [d.confidence for d in sent.prediction.detections] == [0.9, 0.4]
    assert sent.prediction.detections[0].box == pytest.approx((0, 1 / 48, 3 / 64, 1 / 12), abs=1e-5)
    assert picture(sent).shape == (480, 640, 3)


def test_the_envelope_carries_what_routes_and_spool_need() -> None:
    envelope, _ = make(boxes(0.9, 0.4, class_id=[0, 1]))
    assert envelope.kind is Kind.ESCALATION
    assert envelope.value == DECISION.score
    assert envelope.content_type == "application/json"
    assert dict(envelope.properties) == {
        "schema": "escalation/1",
        "camera": "line-1",
        "reason": "below_threshold",
        "model": "pcb-defects",
        "label": "short",
    }


@pytest.mark.parametrize("name", ["划痕", "tête\nde vis", "a" * 5000, "\ud800"])
def test_properties_are_ascii_and_short_whatever_the_model_calls_its_classes(name: str) -> None:
    envelope, _ = make(boxes(0.4, labels=(name.replace("\ud800", "x"),)))
    label = envelope.properties["label"]
    assert label.isascii()
    assert label.isprintable()
    assert len(label) <= 128 * 12


def test_a_classification_says_its_best_classes() -> None:
    sent = message(classes(*[0.02] * 25, 0.3, 0.2))
    assert sent.prediction.task == "classification"
    assert [c.label for c in sent.prediction.classes][:2] == ["class 25", "class 26"]
    assert len(sent.prediction.classes) == 10


def test_classes_that_stand_by_themselves_are_said_from_the_floor_on() -> None:
    sent = message(classes(0.9, 0.3, 0.05, multilabel=True))
    assert [c.label for c in sent.prediction.classes] == ["class 0", "class 1"]


def test_a_crop_shows_the_doubtful_boxes_and_what_is_around_them() -> None:
    image = np.zeros((2000, 3000, 3), dtype=np.uint8)
    image[1000:1200, 1500:1800] = 255
    unsure = boxes(0.9, 0.4, xyxy=[(10, 10, 90, 90), (1500, 1000, 1800, 1200)])
    sent = message(unsure, frame(image), escalation={"snapshot": {"crop": True}})
    assert sent.image.crop == (1350, 850, 1950, 1350)
    assert (sent.frame.width, sent.frame.height) == (3000, 2000)
    (claim,) = sent.prediction.detections
    assert claim.box == pytest.approx((150 / 600, 150 / 500, 450 / 600, 350 / 500), abs=1e-5)
    seen = picture(sent)
    x1, y1, x2, y2 = (np.array(claim.box) * [600, 500, 600, 500]).round().astype(int)
    assert seen[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8].min() > 240
    assert seen[: y1 - 16].max() < 20


def test_a_crop_is_never_too_small_to_judge_and_stays_inside_the_frame() -> None:
    corner = boxes(0.4, xyxy=[(630, 470, 640, 480)])
    sent = message(corner, escalation={"snapshot": {"crop": True}})
    assert sent.image.crop == (384, 224, 640, 480)
    tiny = message(
        boxes(0.4, xyxy=[(1, 1, 9, 9)]),
        frame(texture(40, 30)),
        escalation={"snapshot": {"crop": True}},
    )
    assert tiny.image.crop == (0, 0, 40, 30)


def test_noise_below_the_floor_does_not_widen_the_crop() -> None:
    noisy = boxes(0.4, 0.05, xyxy=[(10, 10, 90, 90), (600, 400, 640, 480)])
    sent = message(noisy, escalation={"snapshot": {"crop": True}})
    assert sent.image.crop == (0, 0, 256, 256)


def test_nothing_doubtful_to_crop_to_sends_the_whole_frame() -> None:
    for prediction in (boxes(), boxes(0.9), classes(0.4, 0.3)):
        sent = message(prediction, escalation={"snapshot": {"crop": True}})
        assert sent.image.crop == (0, 0, 640, 480)


def test_boxes_mostly_outside_the_picture_are_not_claimed_and_others_end_at_its_border() -> None:
    three = boxes(
        0.4, 0.9, 0.9, xyxy=[(500, 500, 620, 620), (400, 400, 560, 560), (420, 420, 480, 480)]
    )
    sent = message(three, frame(texture(1200, 1000)), escalation={"snapshot": {"crop": True}})
    assert sent.image.crop == (432, 432, 688, 688)
    assert [d.box[:2] for d in sent.prediction.detections] == [
        (pytest.approx(68 / 256, abs=1e-5),) * 2,
        (0, 0),
        (0, 0),
    ]
    outside = boxes(0.4, 0.9, xyxy=[(500, 500, 620, 620), (300, 300, 460, 460)])
    sent = message(outside, frame(texture(1200, 1000)), escalation={"snapshot": {"crop": True}})
    assert len(sent.prediction.detections) == 1


def test_zones_are_black_in_the_picture_that_leaves() -> None:
    camera = {"kind": "pattern", "masks": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}
    image = np.full((480, 640, 3), 255, dtype=np.uint8)
    sent = message(boxes(0.4), frame(image), cameras={"line-1": camera})
    assert sent.image.masked == 1
    seen = picture(sent)
    assert seen[:, :310].max() < 10
    assert seen[:, 330:].min() > 240


def test_the_truth_of_a_frame_does_not_leave() -> None:
    known = Frame(texture(64, 64), "line-1", 1, NOON, 0, truth=boxes(1.0, labels=("secret_truth",)))
    envelope, note = make(boxes(0.4), known)
    assert b"secret_truth" not in envelope.body
    assert "secret_truth" not in json.dumps(note)


def test_the_hardest_picture_with_the_most_boxes_and_longest_labels_fits() -> None:
    n = 1000
    crowd = boxes(
        *[0.9 - 0.0007 * i for i in range(n)],
        labels=tuple(f"缺陷{i}" * 80 for i in range(n)),
        class_id=list(range(n)),
        xyxy=[(i, i * 0.7, i + 50.123, i * 0.7 + 60.456) for i in range(n)],
    )
    model = ModelBody(name="模" * 256, version="版" * 256, sha256="0" * 64)
    envelope, note = make(crowd, frame(texture(1920, 1080)), model)
    sent = Escalation.model_validate_json(envelope.body)
    picture(sent)
    # What had no room was sure; what is asked about came first.
    assert sent.prediction.detections
    assert all(claim["doubted"] for claim in note["claims"])


@pytest.mark.parametrize("grain", [0.6, 0.8, 1.0, 1.2, 1.4])
def test_picture_and_claims_together_fit_whatever_the_picture_weighs(grain: float) -> None:
    grainy = cv2.GaussianBlur(texture(1280, 720), (0, 0), grain).astype(np.uint8)
    crowd = boxes(*[0.4] * 400, xyxy=[(i, i, i + 50.1, i + 60.4) for i in range(400)])
    for quality in (70, 85, 100):
        envelope, _ = make(crowd, frame(grainy), escalation={"snapshot": {"quality": quality}})
        assert envelope.size_bytes <= MAX_MESSAGE_BYTES


def test_the_byte_budget_of_the_settings_is_kept() -> None:
    sent = message(
        boxes(0.4),
        frame(texture(1920, 1080)),
        escalation={"snapshot": {"max_image_bytes": 30_000, "quality": 95}},
    )
    assert sent.image.size_bytes <= 30_000
    assert picture(sent).shape[1] < 1280


def test_the_largest_allowed_picture_still_fits_the_message() -> None:
    envelope, _ = make(boxes(*[0.4] * 40), frame(texture(1920, 1080)))
    assert 180_000 < envelope.size_bytes <= MAX_MESSAGE_BYTES


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    corners=st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5),
    confidence=st.floats(0, 1),
    crop=st.booleans(),
)
def test_any_frame_makes_a_valid_message(
    size: tuple[int, int],
    corners: list[tuple[float, float, float, float]],
    confidence: float,
    crop: bool,
) -> None:
    width, height = size
    xyxy = [
        (
            min(a, c) * width,
            min(b, d) * height,
            max(a, c) * width,
            max(b, d) * height,
        )
        for a, b, c, d in corners
    ]
    prediction = boxes(*[confidence] * len(xyxy), xyxy=xyxy)
    sent = message(
        prediction, frame(texture(width, height)), escalation={"snapshot": {"crop": crop}}
    )
    picture(sent)
    x1, y1, x2, y2 = sent.image.crop
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height


def test_every_escalation_has_an_id_of_its_own() -> None:
    assert make(boxes(0.4))[0].id != make(boxes(0.4))[0].id
