"""An upload to Custom Vision: in part, broken off, gone on with; and each picture's word."""

import base64
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.cloud import PlayedClock, jpeg
from tests.support.vision_stub import Reply, Request, Stub, example, serving
from tests.verifier.test_oracles import KEY, told

from verifier.__main__ import INCOMPLETE, main
from verifier.dataset.custom_vision_upload import STATE, Upload, Uploaded
from verifier.errors import (
    BackendBusy,
    BackendError,
    BackendMisconfigured,
    BackendRefused,
    SettingsRefused,
)
from verifier.http import Service
from verifier.identity import key

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from azure.cognitiveservices.vision.customvision.training import (
        CustomVisionTrainingClient,
        models,
    )
    from msrest.authentication import ApiKeyCredentials

TAGS: Final = [{"id": "t-spur", "name": "Spur"}, {"id": "t-ok", "name": "ok"}]


def folder_of(tmp_path: Path, *batches: list[str]) -> Path:
    """An export of pictures by name: those that begin with `c` have a class, the rest a box."""
    (tmp_path / "batches").mkdir()
    (tmp_path / "images").mkdir()
    for number, names in enumerate(batches):
        entries: list[dict[str, Any]] = []
        for name in names:
            (tmp_path / "images" / name).write_bytes(jpeg() + name.encode())
            entry: dict[str, Any] = {"name": name, "file": f"images/{name}", "tags": ["ok"]}
            if not name.startswith("c"):
                entry["tags"] = ["spur"]
                entry["regions"] = [
                    {"tag": "spur", "left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}
                ]
            entries.append(entry)
        (tmp_path / f"batches/{number:04}.json").write_text(json.dumps({"images": entries}))
    return tmp_path


def summary(*words: tuple[str, str], status: int = 0) -> Reply:
    """The service's word on each picture."""
    images = [{"sourceUrl": name, "status": word} for name, word in words]
    whole = all(word == "OK" for _, word in words)
    return Reply(status or (200 if whole else 207), {"isBatchSuccessful": whole, "images": images})


def upload(folder: Path, *replies: Reply) -> tuple[Uploaded, Stub, PlayedClock]:
    clock = PlayedClock()
    with serving(*replies) as stub:
        service = Service(stub.endpoint, key("Training-Key", KEY))
        return Upload(service, "p/1", folder, clock).run(), stub, clock


def posted(stub: Stub) -> list[Request]:
    return [each for each in stub.requests if each.path.endswith("/images/files")]


def test_a_batch_is_sent_as_its_client_sends_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a.jpg", "c.jpg"])
    _, stub, _ = upload(folder, Reply(200, TAGS), summary(("a.jpg", "OK"), ("c.jpg", "OK")))
    region = models.Region(tag_id="t-spur", left=0.1, top=0.2, width=0.3, height=0.4)
    content = {name: bytearray(jpeg() + name.encode()) for name in ("a.jpg", "c.jpg")}
    entries = [
        models.ImageFileCreateEntry(name="a.jpg", contents=content["a.jpg"], regions=[region]),
        models.ImageFileCreateEntry(name="c.jpg", contents=content["c.jpg"], tag_ids=["t-ok"]),
    ]
    with serving(summary(("a.jpg", "OK"), ("c.jpg", "OK"))) as oracle, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        credentials = ApiKeyCredentials(in_headers={"Training-key": KEY})
        client: Any = CustomVisionTrainingClient(oracle.endpoint, credentials)
        client.create_images_from_files("p/1", models.ImageFileCreateBatch(images=entries))
    (ours,), (theirs,) = posted(stub), oracle.requests
    mine, sdks = told(ours), told(theirs)
    sdks["content_type"] = sdks["content_type"].partition(";")[0]
    # The client is one for 3.4-preview; the version that was released is asked here.
    path = re.sub(r"/v3\.[^/]+/", "/v3.3/", sdks["path"])
    assert json.loads(theirs.body) == json.loads(ours.body)
    assert mine | {"body": 0} == sdks | {"body": 0, "path": path}
    assert ours.headers["Training-Key"] == theirs.headers["Training-key"] == KEY


def test_a_batch_taken_in_part_is_told_picture_by_picture(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a.jpg", "b.jpg", "d.jpg"])
    words = (("d.jpg", "OKDuplicate"), ("a.jpg", "OK"), ("b.jpg", "ErrorImageFormat"))
    done, _, _ = upload(folder, Reply(200, TAGS), summary(*words))
    assert done.statuses == {"OK": 1, "OKDuplicate": 1, "ErrorImageFormat": 1}
    assert done.is_complete
    assert "2 pictures taken now" in done.told()
    assert "1 refused: ErrorImageFormat" in done.told()
    state = [json.loads(line) for line in (folder / STATE).read_text().splitlines()]
    assert {each["name"]: each["status"] for each in state} == dict(words)


def test_the_official_answer_is_read(tmp_path: Path) -> None:
    body = example("cvtrain33_CreateImagesFromPredictions")
    names = [f"{n}.jpg" for n in range(len(body["images"]))]
    done, _, _ = upload(folder_of(tmp_path, names), Reply(200, TAGS), Reply(207, body))
    assert sum(done.statuses.values()) == len(names)


def test_what_was_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a.jpg", "b.jpg"], ["d.jpg"])
    first = summary(("a.jpg", "OK"), ("b.jpg", "ErrorStorage"))
    with pytest.raises(BackendRefused):
        upload(folder, Reply(200, TAGS), first, Reply(400, {"code": "BadRequest"}))
    last = [summary(("b.jpg", "OK")), summary(("d.jpg", "OK"))]
    done, stub, _ = upload(folder, Reply(200, TAGS), *last)
    sent = [[each["name"] for each in json.loads(r.body)["images"]] for r in posted(stub)]
    assert sent == [["b.jpg"], ["d.jpg"]]
    assert (done.before, done.statuses["OK"]) == (1, 2)
    again, stub, _ = upload(folder, Reply(500))
    assert stub.requests == []
    assert again.before == 3


def test_a_state_that_was_cut_costs_a_duplicate_and_no_picture(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a.jpg"])
    (folder / STATE).write_text('{"name": "a.jpg", "sta')
    done, _, _ = upload(folder, Reply(200, TAGS), summary(("a.jpg", "OKDuplicate")))
    assert done.statuses == {"OKDuplicate": 1}


def test_tags_that_are_missing_are_made_and_others_found_by_name(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a.jpg", "c.jpg"])
    made = Reply(200, {"id": "t-new", "name": "ok"})
    words = summary(("a.jpg", "OK"), ("c.jpg", "OK"))
    done, stub, _ = upload(folder, Reply(200, TAGS[:1]), made, words)
    assert done.new_tags == ["ok"]
    assert (stub.requests[1].method, stub.requests[1].query) == ("POST", {"name": "ok"})
    images = json.loads(posted(stub)[0].body)["images"]
    assert images[0]["regions"][0]["tagId"] == "t-spur"
    assert images[1]["tagIds"] == ["t-new"]
    assert base64.b64decode(images[0]["contents"]) == jpeg() + b"a.jpg"


def test_a_throttled_call_is_made_again_when_the_service_says(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a.jpg"])
    busy = Reply(429, {}, {"Retry-After": "7"})
    done, _, clock = upload(folder, Reply(200, TAGS), busy, Reply(503), summary(("a.jpg", "OK")))
    assert done.statuses == {"OK": 1}
    assert clock.waited_s == [7, 2]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(503), BackendBusy),
        (Reply(401), BackendMisconfigured),
        (Reply(404), BackendMisconfigured),
        (Reply(400, {"code": "BadRequest"}), BackendRefused),
        (Reply(200, {"images": 3}), BackendBusy),
        (Reply(200, b"<html>"), BackendBusy),
    ],
)
def test_a_call_that_fails_for_good_ends_the_upload(
    tmp_path: Path, reply: Reply, error: type[BackendError]
) -> None:
    with pytest.raises(error) as caught:
        upload(folder_of(tmp_path, ["a.jpg"]), Reply(200, TAGS), reply)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("break_", "named"),
    [
        (lambda folder: (folder / "batches/0000.json").unlink(), "no batches"),
        (lambda folder: (folder / "batches/0000.json").write_text("{"), "no batch"),
        (lambda folder: (folder / "images/a.jpg").unlink(), "No such file"),
        (
            lambda folder: (folder / "batches/0000.json").write_text(
                '{"images": [{"name": "a", "file": "../a", "tags": []}]}'
            ),
            "no batch",
        ),
    ],
)
def test_a_folder_that_is_no_export_is_refused(
    tmp_path: Path, break_: Callable[[Path], object], named: str
) -> None:
    folder = folder_of(tmp_path, ["a.jpg"])
    break_(folder)
    with pytest.raises(SettingsRefused, match=named):
        upload(folder, Reply(200, TAGS))


def test_the_command_says_that_a_part_is_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, ["a.jpg"])
    monkeypatch.setenv("CV_KEY", KEY)
    with serving(Reply(200, TAGS), summary(("a.jpg", "ErrorStorage"))) as stub:
        arguments = ["upload", str(folder), "--endpoint", stub.endpoint, "--project", "p"]
        assert main([*arguments, "--key-env", "CV_KEY"]) == INCOMPLETE
    assert "run again" in capsys.readouterr().out
    assert main([*arguments, "--key-env", "UNSET"]) == 2
