"""One suite for every backend that speaks HTTP: what it asks, reads and makes of each failure."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from tests.support.cloud import jpeg
from tests.support.vision_stub import Reply, Stub, example, serving

from verifier.backends.content_understanding import ContentUnderstanding
from verifier.backends.custom_vision import CustomVision
from verifier.backends.cv32 import ComputerVision32
from verifier.backends.document_intelligence import DocumentIntelligence
from verifier.backends.embed import Embeddings
from verifier.backends.face import FaceDetection
from verifier.backends.ia40 import ImageAnalysis40
from verifier.backends.luxand import Luxand
from verifier.errors import (
    BackendBusy,
    BackendError,
    BackendMisconfigured,
    BackendRefused,
    SettingsRefused,
)
from verifier.http import Service, retry_after_s
from verifier.opinion import Backend, Named, Opinion, Picture, Seen, Want, calls_of

PICTURE: Final = Picture(jpeg(864, 576), "0" * 64, 864, 576)
KEY: Final = "k-0123456789"
LATER: Final = {"Operation-Location": "{endpoint}/results/1", "Retry-After": "0"}
CONTENT: Final = {
    "status": "Succeeded",
    "result": {
        "contents": [
            {
                "kind": "document",
                "fields": {
                    "label": {"type": "string", "valueString": "scratch", "confidence": 0.9},
                    "shiny": {"type": "boolean", "valueBoolean": True},
                    "bent": {"type": "boolean", "valueBoolean": False},
                    "side": {"type": "string", "valueString": "top", "confidence": 0.7},
                    "length": {"type": "number", "valueNumber": 3},
                },
            }
        ]
    },
}


FOUND: Final = [
    {
        "faceId": "c5c24a82-6845-4031-9d5d-978df9175426",
        "faceRectangle": {"top": 131, "left": 177, "width": 162, "height": 162},
    }
]
LUXAND: Final = [
    {
        "rectangle": {"left": 177, "top": 131, "right": 339, "bottom": 293},
        "probability": 0.98,
        "age": 33,
        "gender": {"value": "Female", "probability": 0.9},
    }
]
TEXTS: Final = {"ok": "a flawless circuit board", "scratch": "a board with a scratch"}


def vector(*numbers: float) -> dict[str, object]:
    return {"modelVersion": "2023-04-15", "vector": list(numbers)}


def service(stub: Stub) -> Service:
    return Service(stub.endpoint, lambda: {"Ocp-Apim-Subscription-Key": KEY})


@dataclass(frozen=True)
class Kind:
    """One backend: how it is made, and its official answer."""

    make: Callable[[Stub], Backend]
    body: Callable[[], Any]
    later: bool = False
    first: Callable[[], list[Reply]] = list
    """What it is told before its answer, each charged once."""

    def replies(self) -> list[Reply]:
        done = Reply(200, self.body(), {"CSP-Billing-Usage": "CognitiveServices.Transaction=2"})
        return (
            [*self.first(), Reply(202, None, LATER), done] if self.later else [*self.first(), done]
        )


KINDS: Final = {
    "ia40": Kind(
        lambda stub: ImageAnalysis40(service(stub), "westeurope"),
        lambda: example("ia40_AnalyzeFromImageData_MaximumSet"),
    ),
    "cv32": Kind(
        lambda stub: ComputerVision32(service(stub), "westeurope"),
        lambda: example("cv32_SuccessfulAnalyzeImageWithStream"),
    ),
    "custom classify": Kind(
        lambda stub: CustomVision(service(stub), "westeurope", "p/1", "it 1", "classification"),
        lambda: example("cv31_ClassifyImageWithNoStore"),
    ),
    "custom detect": Kind(
        lambda stub: CustomVision(service(stub), "westeurope", "p/1", "it 1", "detection"),
        lambda: example("cv31_DetectImageWithNoStore"),
    ),
    "face": Kind(
        lambda stub: FaceDetection(service(stub), "westeurope"),
        lambda: example("rec_face_detect_from_url"),
    ),
    "face identify": Kind(
        lambda stub: FaceDetection(service(stub), "westeurope", "crew", consent=True),
        lambda: example("face12_IdentifyFromLargePersonGroup"),
        first=lambda: [Reply(200, FOUND)],
    ),
    "luxand": Kind(
        lambda stub: Luxand(service(stub), "here"),
        lambda: LUXAND,
    ),
    "embed": Kind(
        lambda stub: Embeddings(service(stub), "westeurope", TEXTS, temperature=0.1),
        lambda: vector(1.0, 0.2, 0.0),
        first=lambda: [Reply(200, vector(1.0, 0.0, 0.0)), Reply(200, vector(0.0, 1.0, 0.0))],
    ),
    "docint": Kind(
        lambda stub: DocumentIntelligence(service(stub), "westeurope", "my/classifier"),
        lambda: example("docint_GetClassifyDocumentResult"),
        later=True,
    ),
    "contentunderstanding": Kind(
        lambda stub: ContentUnderstanding(service(stub), "westeurope", "defects"),
        lambda: CONTENT,
        later=True,
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def look(kind: Kind, *replies: Reply, timeout_s: float = 10) -> tuple[Opinion, Stub]:
    with serving(*(replies or kind.replies())) as stub:
        backend = kind.make(stub)
        return backend.look(PICTURE, backend.offers, timeout_s), stub


@kinds
def test_the_official_answer_is_read_with_boxes_and_confidences_in_0_to_1(kind: Kind) -> None:
    opinion, _ = look(kind)
    everything: list[Named | Seen] = [*opinion.objects, *opinion.labels]
    everything += [*opinion.texts, *opinion.regions]
    assert everything
    assert all(one.name and 0 <= one.confidence <= 1 for one in everything)
    for seen in (*opinion.objects, *opinion.texts, *opinion.regions):
        x1, y1, x2, y2 = seen.box
        assert 0 <= x1 < x2 <= 1
        assert 0 <= y1 < y2 <= 1


@kinds
def test_the_key_goes_into_a_header_and_nowhere_else(kind: Kind) -> None:
    _, stub = look(kind)
    for request in stub.requests:
        assert request.headers["Ocp-Apim-Subscription-Key"] == KEY
        assert KEY not in request.path
        assert KEY not in str(request.query)
    assert KEY not in repr(kind.make(stub))


@kinds
def test_the_units_that_the_service_charged_are_told(kind: Kind) -> None:
    opinion, _ = look(kind)
    assert opinion.units == len(kind.first()) + (1 if kind.later else 2)


FAILURES: Final[dict[str, tuple[Reply, type[BackendError]]]] = {
    "400": (Reply(400, {"error": {"code": "InvalidRequest"}}), BackendRefused),
    "400 with Retry-After": (Reply(400, {}, {"Retry-After": "1"}), BackendRefused),
    "400 feature": (
        Reply(400, {"error": {"innererror": {"code": "NotSupportedVisualFeature"}}}),
        BackendMisconfigured,
    ),
    "400 region": (
        Reply(400, {"error": {"message": "The feature is not supported in this region."}}),
        BackendMisconfigured,
    ),
    "413": (Reply(413), BackendRefused),
    "415": (Reply(415), BackendRefused),
    "301": (Reply(301, None, {"Location": "https://elsewhere.example"}), BackendMisconfigured),
    "401": (Reply(401, {"error": {"code": "401"}}), BackendMisconfigured),
    "403": (Reply(403, {"error": {"code": "UnsupportedFeature"}}), BackendMisconfigured),
    "404": (Reply(404), BackendMisconfigured),
    "408": (Reply(408), BackendBusy),
    "429": (Reply(429, {}, {"Retry-After": "3"}), BackendBusy),
    "500": (Reply(500), BackendBusy),
    "502 page": (Reply(502, b"<html>", {"Content-Type": "text/html"}), BackendBusy),
    "503": (Reply(503), BackendBusy),
    "504": (Reply(504), BackendBusy),
    "200 page": (Reply(200, b"<html>"), BackendBusy),
    "200 empty": (Reply(200, b""), BackendBusy),
    "200 {}": (Reply(200, {}), BackendBusy),
    "200 null": (Reply(200, b"null"), BackendBusy),
    "200 text": (Reply(200, "ok"), BackendBusy),
}


@kinds
@pytest.mark.parametrize(("reply", "error"), FAILURES.values(), ids=FAILURES)
def test_each_failure_is_what_the_table_says_after_one_call(
    kind: Kind, reply: Reply, error: type[BackendError]
) -> None:
    with serving(reply) as stub:
        backend = kind.make(stub)
        with pytest.raises(error) as caught:
            backend.look(PICTURE, backend.offers, 5)
    assert len(stub.requests) == 1
    assert KEY not in str(caught.value)


@kinds
def test_a_look_never_costs_more_than_it_said(kind: Kind) -> None:
    with serving(*kind.replies()) as stub:
        backend = kind.make(stub)
        said = calls_of(backend, backend.offers)
        backend.look(PICTURE, backend.offers, 10)
    posts = [request for request in stub.requests if request.method == "POST"]
    assert len(posts) <= said
    assert said == 1 + len(kind.first())


@kinds
def test_a_throttled_call_costs_nothing_and_says_when_to_come_again(kind: Kind) -> None:
    with pytest.raises(BackendBusy) as caught:
        look(kind, Reply(429, {}, {"Retry-After": "3"}))
    assert (caught.value.retry_after_s, caught.value.billed) == (3, False)


@kinds
def test_without_a_connection_nothing_is_charged(kind: Kind) -> None:
    with serving(Reply()) as stub:
        backend = kind.make(stub)
    with pytest.raises(BackendBusy, match="no connection") as caught:
        backend.look(PICTURE, backend.offers, 5)
    assert not caught.value.billed


@kinds
def test_a_service_that_says_nothing_is_given_up_in_time(kind: Kind) -> None:
    with serving(Reply(200, {})) as stub:
        stub.hold.clear()
        backend = kind.make(stub)
        with pytest.raises(BackendBusy) as caught:
            backend.look(PICTURE, backend.offers, 0.3)
    assert caught.value.billed


def test_an_answer_that_drips_for_ever_is_given_up_in_time() -> None:
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            with contextlib.suppress(OSError):
                while not ended.wait(0.02):
                    connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        slow = Service(f"http://127.0.0.1:{server.getsockname()[1]}", dict)
        try:
            with pytest.raises(BackendBusy, match="without an end|ReadTimeoutError"):
                slow.call("GET", f"{slow.endpoint}/", 0.5)
        finally:
            ended.set()
            thread.join(10)


@kinds
def test_one_backend_serves_many_threads(kind: Kind) -> None:
    with serving(Reply(429)) as stub:
        backend = kind.make(stub)
        failures: list[BackendBusy] = []

        def ask() -> None:
            try:
                backend.look(PICTURE, backend.offers, 5)
            except BackendBusy as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(failures) == 8


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize("endpoint", ["http://vision.example", "ftp://x", "vision.example", ""])
def test_a_key_does_not_travel_in_the_clear(endpoint: str) -> None:
    with pytest.raises(SettingsRefused, match="endpoint"):
        Service(endpoint, lambda: {})


def test_only_what_is_wanted_is_asked_for_and_charged() -> None:
    with serving(KINDS["ia40"].replies()[0]) as stub:
        ImageAnalysis40(service(stub), "w").look(PICTURE, frozenset({Want.TEXT, Want.PEOPLE}), 5)
    assert stub.requests[0].query["features"] == "read,people"


def test_an_answer_without_what_was_wanted_is_no_answer() -> None:
    body = example("ia40_AnalyzeFromImageData_MaximumSet")
    del body["tagsResult"]
    with pytest.raises(BackendBusy, match="nonsense"):
        look(KINDS["ia40"], Reply(200, body))


def test_a_confidence_beyond_1_is_nonsense() -> None:
    body = example("cv31_ClassifyImageWithNoStore")
    body["predictions"][0]["probability"] = 51.0
    with pytest.raises(BackendBusy, match="confidence"):
        look(KINDS["custom classify"], Reply(200, body))


@pytest.mark.parametrize("left", [100, float("nan")])
def test_a_box_elsewhere_is_nonsense_and_no_empty_scene(left: float) -> None:
    body = example("cv31_DetectImageWithNoStore")
    body["predictions"][0]["boundingBox"]["left"] = left
    with pytest.raises(BackendBusy, match="nonsense: ValueError a box"):
        look(KINDS["custom detect"], Reply(200, body))


def test_no_name_of_a_person_leaves_computer_vision() -> None:
    opinion, stub = look(KINDS["cv32"])
    assert "Nadella" not in str(opinion)
    assert "details" not in stub.requests[0].query


def test_an_operation_that_fails_is_a_refusal() -> None:
    for kind in (KINDS["docint"], KINDS["contentunderstanding"]):
        with pytest.raises(BackendRefused, match="failed"):
            look(kind, Reply(202, None, LATER), Reply(200, {"status": "Failed"}))


def test_a_busy_operation_is_asked_again_and_not_begun_again() -> None:
    kind = KINDS["docint"]
    begun, done = kind.replies()
    going_on = Reply(200, {"status": "running"}, {"Retry-After": "0"})
    _, stub = look(kind, begun, Reply(503, {}, {"Retry-After": "0"}), going_on, done)
    assert [request.method for request in stub.requests] == ["POST", "GET", "GET", "GET"]


@pytest.mark.parametrize("status", [404, 410])
def test_an_operation_that_is_gone_says_nothing_of_the_settings(status: int) -> None:
    for kind in (KINDS["docint"], KINDS["contentunderstanding"]):
        with pytest.raises(BackendBusy, match="gone") as caught:
            look(kind, Reply(202, None, LATER), Reply(status, {"error": {"code": "NotFound"}}))
        assert caught.value.billed


def test_a_key_that_may_not_ask_for_the_operation_is_a_wrong_setting() -> None:
    with pytest.raises(BackendMisconfigured, match="HTTP 401"):
        look(KINDS["docint"], Reply(202, None, LATER), Reply(401, {}))


def test_an_operation_elsewhere_does_not_get_our_key() -> None:
    away = {"Operation-Location": "https://elsewhere.example/1", "Retry-After": "0"}
    with pytest.raises(BackendMisconfigured, match="elsewhere"):
        look(KINDS["docint"], Reply(202, None, away))


def test_fields_of_an_analyzer_become_names() -> None:
    opinion, _ = look(KINDS["contentunderstanding"])
    assert [(one.name, one.confidence) for one in opinion.labels] == [
        ("scratch", 0.9),
        ("shiny", 0.5),
        ("side: top", 0.7),
    ]
