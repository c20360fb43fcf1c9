"""Odd keys, ids, answers and quotas, slow heads, and stores that fail in part."""

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.azurite import azurite_store
from tests.support.cloud import META, Cloud, PlayedBackend, body, escalation, jpeg
from tests.support.vision_stub import Reply, serving
from tests.verifier.test_back_pressure import PlayedTwins, pressed

from verifier.__main__ import main
from verifier.admit import Meta
from verifier.asking import Asking
from verifier.backends.document_intelligence import DocumentIntelligence
from verifier.backends.embed import Embeddings
from verifier.backends.face import FaceDetection
from verifier.backends.ia40 import ImageAnalysis40
from verifier.build import secret
from verifier.core import Kind, Route
from verifier.dataset.custom_vision_upload import Upload
from verifier.errors import (
    BackendBusy,
    BackendMisconfigured,
    ReplyDeferred,
    SettingsRefused,
    StoreUnavailable,
)
from verifier.http import Service, retry_after_s
from verifier.identity import key
from verifier.opinion import Backend, Opinion, Picture, Seen, Want
from verifier.reply.iot_hub import IotHubReply
from verifier.stores.memory import MemoryStore
from visionedge.wire import Verdict, Verdicts

KEY = key("Ocp-Apim-Subscription-Key", "k")
PICTURE = Picture(jpeg(64, 64), "0" * 64, 64, 64)
FACE = {"faceId": "x", "faceRectangle": {"left": 1, "top": 1, "width": 5, "height": 5}}
SAYS_NO = Reply(403, {"error": {"code": "UnsupportedFeature", "message": "no"}})


def asked_of(backend: Backend, want: set[Want], cloud: Cloud) -> Cloud:
    route = Route(Asking([backend], cloud.clock), frozenset(want))
    cloud.core = replace(cloud.core, routes={"*": route})
    return cloud


def message(id_: str = "a") -> bytes:
    told = escalation(id_, picture=jpeg(64, 64))
    told["image"] |= {"width": 64, "height": 64}
    return json.dumps(told).encode()


def test_a_key_is_read_without_the_line_end_that_a_file_gave_it() -> None:
    assert secret({"K": "s3cr3t\n"}, "K") == "s3cr3t"


@pytest.mark.parametrize("value", ["s3c\nr3t", "s3cr\u00e9t", "s3c\x00r3t"])
def test_a_key_that_no_header_takes_is_refused_and_not_told(value: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        secret({"K": value}, "K")
    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize("id_", [".", ".."])
def test_an_id_of_dots_does_not_hold_up_its_partition(
    id_: str, request: pytest.FixtureRequest
) -> None:
    cloud = Cloud(store=azurite_store(request))
    assert cloud.core.handle(body(id_), META).kind is Kind.VERIFIED
    assert cloud.states() == {id_: "verified"}


def test_a_hub_whose_daily_quota_is_used_up_is_no_reason_to_stop() -> None:
    quota = {"Message": "ErrorCode:IotHubQuotaExceeded;Total number of messages exceeded"}
    cloud = Cloud()
    cloud.core.handle(body("a"), META)
    with serving(Reply(403, quota)) as stub:
        cloud.courier.reply = IotHubReply(stub.endpoint, KEY)
        cloud.courier.turn()
    assert cloud.states() == {"a": "verified"}


CLOSING = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n{}",
)


@pytest.mark.parametrize("answer", CLOSING)
def test_an_answer_that_closes_the_connection_is_read_whole(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        body_of = Service(address, KEY).call("GET", f"{address}/", 3).body
        thread.join(5)
    assert body_of == answer.partition(b"\r\n\r\n")[2]


def test_what_was_paid_before_a_refused_second_call_is_not_given_back() -> None:
    with serving(Reply(200, [FACE]), SAYS_NO) as stub:
        face = FaceDetection(Service(stub.endpoint, KEY), "w", "group", consent=True)
        cloud = asked_of(face, {Want.FACES, Want.IDENTITIES}, Cloud(per_device=10))
        with pytest.raises(BackendMisconfigured):
            cloud.core.handle(message(), META)
    assert cloud.budget.left("line-1") != 10


class RefundsFail(MemoryStore):
    """Away for each write that gives units back."""

    def replace(self, key: str, value: bytes, version: str) -> str:
        stored = self.read(key)
        if key.startswith("budget/") and stored and int(value) < int(stored.value):
            raise StoreUnavailable("away")
        return super().replace(key, value, version)


def test_an_answer_is_not_lost_with_the_units_that_come_back() -> None:
    with serving(Reply(200, [])) as stub:
        face = FaceDetection(Service(stub.endpoint, KEY), "w", "group", consent=True)
        cloud = Cloud(per_device=10, store=RefundsFail())
        asked_of(face, {Want.FACES, Want.IDENTITIES}, cloud)
        assert cloud.core.handle(message(), META).kind is Kind.VERIFIED
        assert len(stub.requests) == 1


@dataclass(eq=False)
class TwoCalls(PlayedBackend):
    def paid_calls(self, want: frozenset[Want]) -> int:
        return 2


def test_a_pause_stays_while_too_little_is_left_for_one_look() -> None:
    cloud, twins = Cloud(per_device=3, backends=[TwoCalls([Opinion(units=2)])]), PlayedTwins()
    pressure = pressed(cloud, twins)
    for shade, id_ in enumerate("abcd"):
        cloud.core.handle(body(id_, picture=jpeg(shade=shade)), META)
        pressure.lift()
    assert len(twins.patches) == 1


def test_a_key_does_not_follow_to_plain_http() -> None:
    with serving(Reply(200, {})) as stub:
        host = stub.endpoint.removeprefix("http://")
        with pytest.raises(BackendMisconfigured):
            Service(f"https://{host}", KEY).call("GET", f"http://{host}/x", 3)
        assert not stub.requests


def test_an_operation_may_be_at_the_same_host_spelled_otherwise() -> None:
    done = {"status": "succeeded", "analyzeResult": {"modelId": "m", "pages": []}}
    with serving(Reply(202, {}, {"Operation-Location": "{endpoint}/op"}), Reply(200, done)) as stub:
        stub.endpoint = stub.endpoint.replace("127.0.0.1", "localhost")
        service = Service(stub.endpoint.replace("localhost", "LocalHost"), KEY)
        DocumentIntelligence(service, "w").look(PICTURE, frozenset({Want.TEXT}), 5)


ODD = (
    '{"metadata":{"width":64,"height":64},"objectsResult":{"values":[%s]},'
    '"readResult":{"blocks":[%s]}}'
)
LINE = r'{"lines":[{"text":"ok \ud83d","boundingPolygon":[{"x":1,"y":1}],"words":[]}]}'
HUGE = '{"boundingBox":{"x":%s,"y":1,"w":1,"h":1},"tags":[{"name":"a","confidence":1}]}' % (
    "9" * 400
)


@pytest.mark.parametrize(
    ("objects", "blocks", "kind"), [("", LINE, "verified"), (HUGE, "", "deferred")]
)
def test_what_an_api_says_oddly_is_no_bug_of_ours(objects: str, blocks: str, kind: str) -> None:
    with serving(Reply(200, (ODD % (objects, blocks)).encode())) as stub:
        api = ImageAnalysis40(Service(stub.endpoint, KEY), "w")
        cloud = asked_of(api, {Want.OBJECTS, Want.TEXT}, Cloud())
        assert cloud.core.handle(message(), META).kind == kind


@pytest.mark.parametrize(
    "header",
    [
        {"retry-after-ms": "9" * 5000},
        {"retry-after-ms": "9" * 400},
        {"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT"},
    ],
)
def test_no_retry_after_is_too_odd(header: dict[str, str]) -> None:
    retry_after_s(header)


def test_a_date_of_an_unknown_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    soon = time.strftime("%a, %d %b %Y %H:%M:%S -0000", time.gmtime(time.time() + 30))
    waits_s = retry_after_s({"retry-after": soon})
    monkeypatch.undo()
    time.tzset()
    assert waits_s == pytest.approx(30, abs=5)


def test_a_verdict_fits_into_a_direct_method() -> None:
    many = Opinion(
        objects=(Seen("scratch", 0.9 + 1e-15, (0.1 + 1e-15,) * 2 + (0.7 + 1e-15,) * 2),) * 1000
    )
    cloud = Cloud(backends=[PlayedBackend([many])])
    cloud.core.handle(body("a"), META)
    cloud.courier.turn()
    assert len(Verdicts(verdicts=cloud.reply.taken).encode()) < 128 * 1024


def test_an_upload_takes_no_file_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("secret")
    batch = {"images": [{"name": "a", "file": str(tmp_path / "elsewhere"), "tags": ["x"]}]}
    (tmp_path / "set/batches").mkdir(parents=True)
    (tmp_path / "set/batches/0001.json").write_text(json.dumps(batch))
    with pytest.raises(SettingsRefused, match="no batch"):
        Upload(Service("http://127.0.0.1:1", KEY), "p", tmp_path / "set").run()


def test_a_call_that_was_never_made_is_not_billed() -> None:
    embed = Embeddings(Service("http://127.0.0.1:1", KEY), "w", {"a": "x", "b": "y"})
    with pytest.raises(BackendBusy) as caught:
        embed.look(PICTURE, frozenset({Want.LABELS}), 0)
    assert not caught.value.billed


def test_a_finished_look_at_an_operation_is_not_asked_for_without_a_pause() -> None:
    begun = Reply(202, {}, {"Operation-Location": "{endpoint}/op"})
    with serving(begun, Reply(200, {"status": "running"}, {"Retry-After": "0"})) as stub:
        with pytest.raises(BackendBusy):
            DocumentIntelligence(Service(stub.endpoint, KEY), "w").look(
                PICTURE, frozenset({Want.TEXT}), 1
            )
        assert len(stub.requests) < 10


def test_a_head_that_drips_ends_with_the_time_of_the_call() -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                for _ in range(100):
                    if ended.wait(0.1):
                        return
                    connection.sendall(b"a")

        thread = threading.Thread(target=lambda: _quietly(drip), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        began_s = time.monotonic()
        with pytest.raises(BackendBusy):
            Service(address, KEY).call("GET", f"{address}/", 0.5)
        ended.set()
        assert time.monotonic() - began_s < 2
        thread.join(5)


def _quietly(drip: Callable[[], None]) -> None:
    with suppress(OSError):
        drip()


def test_who_is_there_does_not_wait_for_all_who_are_away() -> None:
    cloud = Cloud()
    served_s: list[float] = []

    class Slow:
        def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
            if device_id != "here":
                cloud.clock.advance(5)
                raise ReplyDeferred("HTTP 404")
            served_s.append(cloud.clock.monotonic_s())

    cloud.courier.reply = Slow()
    for number in range(50):
        cloud.core.handle(body("a"), Meta(f"away-{number}", "m"))
    cloud.courier.turn()
    cloud.clock.advance(600)
    began_s = cloud.clock.monotonic_s()
    cloud.core.handle(body("a"), Meta("here", "m"))
    cloud.courier.turn()
    assert served_s[0] - began_s <= 5


def test_a_malformed_connection_string_is_a_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = {"kind": "onnx", "regions": [{"name": "here"}], "model": "x"}
    settings = {
        "routes": {"*": {"backend": backend, "want": ["objects"]}},
        "hub": {"host": "h.azure-devices.net"},
        "store": {"connection_string_env": "STORE"},
    }
    (tmp_path / "s.json").write_text(json.dumps(settings))
    monkeypatch.setenv("STORE", "no connection string")
    assert main(["run", "--settings", str(tmp_path / "s.json")]) == 2


def test_a_handshake_that_fails_is_not_billed() -> None:
    with serving(Reply(200, {})) as stub:
        secure = stub.endpoint.replace("http:", "https:")
        with pytest.raises(BackendBusy) as caught:
            Service(secure, KEY).call("GET", f"{secure}/", 3)
        assert not caught.value.billed
        assert not stub.requests


class BudgetAway(MemoryStore):
    """The one blob that all workers write is throttled."""

    away = True

    def create(self, key: str, value: bytes) -> str:
        if self.away and key.startswith("budget/"):
            raise StoreUnavailable("503")
        return super().create(key, value)


def test_a_store_that_fails_in_part_is_no_death_of_a_worker() -> None:
    store = BudgetAway()
    cloud = Cloud(store=store, per_device=10)
    for _ in range(6):
        with suppress(StoreUnavailable):
            assert cloud.core.handle(body("a"), META).kind is not Kind.POISON
        cloud.clock.advance(130)
    store.away = False
    assert cloud.core.handle(body("a"), META).kind is Kind.VERIFIED
