"""The loop's Vision API charges for answers, misbehaves in turn, and knows its clients."""

import hashlib
import json

import pytest
from tests.support.cloud import jpeg

from devhub.authority import Authority
from devhub.https import Request
from devhub.verdicts import Sighting
from loop.vision import KEY_HEADER, VisionService
from verifier.backends.form import form_of

PICTURE = hashlib.sha256(jpeg()).hexdigest()
TRUTH = Sighting(label="short", confidence=1.0, box=[0.1, 0.2, 0.4, 0.6])


@pytest.fixture
def charged() -> list[str]:
    return []


@pytest.fixture
def service(charged: list[str], monkeypatch: pytest.MonkeyPatch) -> VisionService:
    monkeypatch.setattr("loop.vision.SLOW_S", 0)
    made = VisionService("127.0.0.1", Authority(), charged.append)
    made.know(PICTURE, [TRUTH])
    return made


def request(key: str) -> Request:
    body, content_type = form_of("imageData", jpeg())
    return Request("POST", "/x", {KEY_HEADER: key, "content-type": content_type}, body)


def test_it_answers_the_truth_and_charges_for_it_alone(
    service: VisionService, charged: list[str]
) -> None:
    key = service.issue_key()
    answers = [service.handle(request(key)) for _ in range(8)]
    assert [answer.status for answer in answers] == [429, 200, 500, 200, 200, 200, 200, 200]
    billed = [answer for answer in answers if "CSP-Billing-Usage" in answer.headers]
    assert charged == [PICTURE] * len(billed) == [PICTURE] * 5
    assert service.paid == 5
    (seen,) = json.loads(billed[0].body)["predictions"]
    assert seen["tagName"] == "short"
    assert seen["boundingBox"] == pytest.approx(
        {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}
    )
    assert service.in_hand(key) == 0


def test_a_key_that_it_did_not_issue_is_refused(service: VisionService, charged: list[str]) -> None:
    assert service.handle(request("another")).status == 401
    assert charged == []
