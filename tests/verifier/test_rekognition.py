"""Rekognition against AWS's own model of it, its own examples, moto, and a stub for the wire."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws
from tests.support.cloud import jpeg
from tests.support.vision_stub import EXAMPLES, Reply, serving

from verifier.backends.rekognition import Rekognition, client
from verifier.errors import BackendBusy, BackendError, BackendMisconfigured, BackendRefused
from verifier.opinion import Opinion, Picture, Want

PICTURE = Picture(jpeg(640, 480), "0" * 64, 640, 480)
BOX = {"Left": 0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4}
OBJECTS = frozenset({Want.OBJECTS})


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def aws() -> Iterator[tuple[Any, Stubber]]:
    """A client that AWS's model of requests and answers watches over."""
    rekognition = client("eu-west-1")
    with Stubber(rekognition) as stubber:
        yield rekognition, stubber
        stubber.assert_no_pending_responses()


def example_of(operation: str) -> Any:  # noqa: ANN401 - whatever JSON gave
    path = EXAMPLES / "rekognition_examples-1.json"
    if not path.exists():
        pytest.skip("no examples in ../shared/vision-api-examples")
    document = json.loads(path.read_text())
    return document.get("body", document)["examples"][operation][0]["output"]


def test_the_official_labels_are_read(aws: tuple[Any, Stubber]) -> None:
    rekognition, stubber = aws
    asked = {"Image": {"Bytes": PICTURE.jpeg}, "MaxLabels": ANY, "MinConfidence": ANY}
    stubber.add_response("detect_labels", example_of("DetectLabels"), asked)
    backend = Rekognition(rekognition, "eu-west-1")
    opinion = backend.look(PICTURE, frozenset({Want.LABELS}), 5)
    assert [label.name for label in opinion.labels] == ["People", "Person"]
    assert opinion.labels[0].confidence == pytest.approx(0.9925072479)


def test_instances_of_labels_are_objects(aws: tuple[Any, Stubber]) -> None:
    rekognition, stubber = aws
    label = {
        "Name": "Bottle",
        "Confidence": 99.0,
        "Instances": [{"BoundingBox": BOX, "Confidence": 88.0}],
    }
    stubber.add_response("detect_labels", {"Labels": [label], "LabelModelVersion": "3.0"})
    opinion = Rekognition(rekognition, "eu-west-1").look(PICTURE, OBJECTS, 5)
    (bottle,) = opinion.objects
    assert (bottle.name, bottle.confidence) == ("Bottle", 0.88)
    assert bottle.box == pytest.approx((0.1, 0.2, 0.4, 0.6))
    assert not opinion.labels
    assert (opinion.model, opinion.units) == ("3.0", 1)


def test_the_official_faces_are_read(aws: tuple[Any, Stubber]) -> None:
    rekognition, stubber = aws
    stubber.add_response("detect_faces", example_of("DetectFaces"))
    opinion = Rekognition(rekognition, "eu-west-1").look(PICTURE, frozenset({Want.FACES}), 5)
    (face,) = opinion.objects
    assert (face.name, face.confidence) == ("face", 1.0)


def test_each_kind_of_thing_is_a_call_and_a_unit(aws: tuple[Any, Stubber]) -> None:
    rekognition, stubber = aws
    text = {"Type": "LINE", "DetectedText": "EXIT", "Confidence": 97.0,
            "Geometry": {"BoundingBox": BOX}}  # fmt: skip
    word = text | {"Type": "WORD"}
    stubber.add_response("detect_labels", {"Labels": []})
    stubber.add_response("detect_text", {"TextDetections": [text, word]})
    stubber.add_response(
        "detect_moderation_labels", {"ModerationLabels": [{"Name": "Smoking", "Confidence": 61.0}]}
    )
    want = frozenset({Want.LABELS, Want.OBJECTS, Want.TEXT, Want.ADULT})
    opinion = Rekognition(rekognition, "eu-west-1").look(PICTURE, want, 5)
    assert [line.name for line in opinion.texts] == ["EXIT"]
    assert [(label.name, label.confidence) for label in opinion.labels] == [("Smoking", 0.61)]
    assert opinion.units == 3


def test_no_further_call_is_made_when_the_time_is_up(aws: tuple[Any, Stubber]) -> None:
    rekognition, stubber = aws
    stubber.add_response("detect_labels", {"Labels": []})
    with pytest.raises(BackendBusy, match="too slow"):
        Rekognition(rekognition, "eu-west-1").look(PICTURE, OBJECTS | {Want.TEXT}, 0)


def test_custom_labels_replace_the_general_ones(aws: tuple[Any, Stubber]) -> None:
    rekognition, stubber = aws
    arn = "arn:aws:rekognition:eu-west-1:123456789012:project/pcb/version/v1/1"
    label = {"Name": "scratch", "Confidence": 90.0, "Geometry": {"BoundingBox": BOX}}
    asked = {"Image": ANY, "ProjectVersionArn": arn, "MinConfidence": ANY}
    stubber.add_response("detect_custom_labels", {"CustomLabels": [label]}, asked)
    backend = Rekognition(rekognition, "eu-west-1", project_version_arn=arn)
    assert [seen.name for seen in backend.look(PICTURE, OBJECTS, 5).objects] == ["scratch"]


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("InvalidImageFormatException", 400, BackendRefused),
        ("ImageTooLargeException", 400, BackendRefused),
        ("ThrottlingException", 400, BackendBusy),
        ("ProvisionedThroughputExceededException", 400, BackendBusy),
        ("InternalServerError", 500, BackendBusy),
        ("Whatever", 503, BackendBusy),
        ("AccessDeniedException", 400, BackendMisconfigured),
        ("UnrecognizedClientException", 400, BackendMisconfigured),
        ("ResourceNotFoundException", 400, BackendMisconfigured),
    ],
)
def test_each_error_of_aws_is_one_of_ours(
    aws: tuple[Any, Stubber], code: str, status: int, error: type[BackendError]
) -> None:
    rekognition, stubber = aws
    stubber.add_client_error("detect_labels", code, http_status_code=status)
    with pytest.raises(error):
        Rekognition(rekognition, "eu-west-1").look(PICTURE, OBJECTS, 5)


def test_every_error_that_the_service_model_knows_for_our_calls_is_mapped() -> None:
    model = client("eu-west-1").meta.service_model
    operations = ("DetectLabels", "DetectText", "DetectFaces", "DetectCustomLabels")
    known = {
        shape.name for name in operations for shape in model.operation_model(name).error_shapes
    }
    from verifier.backends.rekognition import _BUSY, _REFUSED

    wrong_for_all = {
        "AccessDeniedException",
        "InvalidS3ObjectException",
        "ResourceNotFoundException",
        "ResourceNotReadyException",
    }
    assert known <= _BUSY | _REFUSED | wrong_for_all


def test_aws_is_asked_once_however_it_fails() -> None:
    with serving(Reply(500, {"__type": "InternalServerError"})) as stub:
        backend = Rekognition(client("eu-west-1", stub.endpoint), "eu-west-1")
        with pytest.raises(BackendBusy):
            backend.look(PICTURE, OBJECTS, 5)
    assert len(stub.requests) == 1
    assert stub.requests[0].headers["X-Amz-Target"] == "RekognitionService.DetectLabels"
    assert stub.requests[0].headers["Authorization"].startswith("AWS4-HMAC-SHA256")


def test_without_a_connection_nothing_is_charged() -> None:
    with serving(Reply()) as stub:
        backend = Rekognition(client("eu-west-1", stub.endpoint), "eu-west-1")
    with pytest.raises(BackendBusy, match="no connection") as caught:
        backend.look(PICTURE, OBJECTS, 5)
    assert not caught.value.billed


def test_nonsense_is_no_answer() -> None:
    with serving(Reply(200, {})) as stub, pytest.raises(BackendBusy, match="nonsense"):
        Rekognition(client("eu-west-1", stub.endpoint), "eu-west-1").look(PICTURE, OBJECTS, 5)


@mock_aws
def test_moto_is_read_without_a_fault() -> None:
    backend = Rekognition(boto3.client("rekognition", region_name="eu-west-1"), "eu-west-1")
    opinion: Opinion = backend.look(PICTURE, frozenset({Want.LABELS, Want.OBJECTS}), 5)
    assert "Mobile Phone" in {label.name for label in opinion.labels}
    assert opinion.objects
