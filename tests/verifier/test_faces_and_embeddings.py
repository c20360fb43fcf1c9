"""Whose face it is, only with consent; and which sentence fits a picture, paid for once."""

import json
import math

import pytest
from tests.support.vision_stub import Reply, serving
from tests.verifier.test_backends import FOUND, KINDS, PICTURE, TEXTS, look, service, vector

from verifier.backends.face import FaceDetection
from verifier.errors import (
    BackendBusy,
    BackendError,
    BackendMisconfigured,
    BackendRefused,
    SettingsRefused,
)
from verifier.opinion import Want, calls_of


def test_people_are_not_identified_without_consent() -> None:
    with serving(Reply()) as stub, pytest.raises(SettingsRefused, match="consent"):
        FaceDetection(service(stub), "westeurope", "crew")
    assert Want.IDENTITIES not in FaceDetection(service(stub), "westeurope").offers


def test_a_template_is_made_only_to_identify_and_lives_for_a_minute() -> None:
    _, detected = look(KINDS["face"])
    assert detected.requests[0].query["returnFaceId"] == "false"
    opinion, identified = look(KINDS["face identify"])
    first, second = identified.requests
    assert (first.query["returnFaceId"], first.query["faceIdTimeToLive"]) == ("true", "60")
    assert json.loads(second.body) == {
        "faceIds": [FOUND[0]["faceId"]],
        "largePersonGroupId": "crew",
    }
    assert [(one.name, one.confidence) for one in opinion.labels] == [
        ("85c0c630-c9c9-40f8-8a4e-f9ae4f926ea5", 0.8)
    ]


def test_a_resource_that_may_not_identify_is_a_fault_of_the_settings() -> None:
    said = {
        "error": {
            "code": "InvalidRequest",
            "innererror": {"code": "UnsupportedFeature"},
            "message": "Feature is not supported, missing approval for Identification.",
        }
    }
    with pytest.raises(BackendMisconfigured, match="Limited Access"):
        look(KINDS["face identify"], Reply(403, said))


def test_where_there_is_no_face_nobody_is_asked_about() -> None:
    opinion, stub = look(KINDS["face identify"], Reply(200, []))
    assert (len(stub.requests), opinion.labels) == (1, ())


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Token is not valid", BackendMisconfigured),
        ("Your subscription has expired", BackendMisconfigured),
        ("Can't read the uploaded photo", BackendRefused),
    ],
)
def test_a_failure_that_luxand_says_with_a_200_is_told_apart(
    message: str, error: type[BackendError]
) -> None:
    with pytest.raises(error, match=message):
        look(KINDS["luxand"], Reply(200, {"status": "failure", "message": message}))


def test_a_picture_is_sent_to_luxand_as_the_field_photo() -> None:
    opinion, stub = look(KINDS["luxand"])
    assert (stub.requests[0].method, stub.requests[0].path) == ("POST", "/photo/detect")
    assert stub.requests[0].parts() == [("photo", PICTURE.jpeg)]
    assert opinion.objects[0].box == pytest.approx((177 / 864, 131 / 576, 339 / 864, 293 / 576))


def test_shares_follow_the_cosines_and_the_temperature() -> None:
    opinion, _ = look(KINDS["embed"])
    shares = {one.name: one.confidence for one in opinion.labels}
    length = (1 + 0.2**2) ** 0.5
    odds = math.exp((1 - 0.2) / length / 0.1)
    assert shares["ok"] == pytest.approx(odds / (1 + odds))
    assert sum(shares.values()) == pytest.approx(1)


def test_the_vectors_of_texts_are_paid_for_once() -> None:
    with serving(*KINDS["embed"].replies()) as stub:
        backend = KINDS["embed"].make(stub)
        for _ in range(3):
            backend.look(PICTURE, backend.offers, 5)
        assert calls_of(backend, backend.offers) == 1
    paths = [request.path.rpartition(":")[2] for request in stub.requests]
    assert paths == ["vectorizeText"] * 2 + ["vectorizeImage"] * 3
    assert json.loads(stub.requests[0].body) == {"text": TEXTS["ok"]}
    assert stub.requests[-1].body == PICTURE.jpeg


def test_a_text_whose_vector_failed_is_asked_for_again_and_the_others_are_not() -> None:
    first, second = KINDS["embed"].first()
    busy = Reply(429, {}, {"Retry-After": "0"})
    with serving(first, busy, second, KINDS["embed"].replies()[-1]) as stub:
        backend = KINDS["embed"].make(stub)
        with pytest.raises(BackendBusy) as caught:
            backend.look(PICTURE, backend.offers, 5)
        assert caught.value.billed, "the first text was charged"
        backend.look(PICTURE, backend.offers, 5)
    assert len(stub.requests) == 4


def test_a_text_whose_vector_has_another_length_is_asked_for_again() -> None:
    first, second = KINDS["embed"].first()
    picture = KINDS["embed"].replies()[-1]
    with serving(first, Reply(200, vector(1.0, 0.0)), picture, second, picture) as stub:
        backend = KINDS["embed"].make(stub)
        with pytest.raises(BackendBusy, match="other lengths for scratch"):
            backend.look(PICTURE, backend.offers, 5)
        assert calls_of(backend, backend.offers) == 2
        assert backend.look(PICTURE, backend.offers, 5).labels[0].name == "ok"
    assert json.loads(stub.requests[3].body) == {"text": TEXTS["scratch"]}
    assert len(stub.requests) == 5


@pytest.mark.parametrize(
    "bad",
    [
        vector(0.0, 0.0, 0.0),
        vector(1.0, 0.0),
        vector(1.0, 0.0, 0.0) | {"modelVersion": "2022-04-11"},
        {"modelVersion": "2023-04-15", "vector": ["x"]},
    ],
)
def test_vectors_that_cannot_be_compared_are_no_answer(bad: dict[str, object]) -> None:
    with pytest.raises(BackendBusy, match="nonsense"):
        look(KINDS["embed"], *KINDS["embed"].first(), Reply(200, bad))
