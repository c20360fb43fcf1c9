"""The folder as a hub: what a person finds in it, and how it stays bounded."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.envelopes import envelope
from tests.support.hub_sides import POLL_S, Events, eventually

from visionedge.entities import Kind
from visionedge.metrics import Metrics
from visionedge.uplink.hub import DesiredDocument, HubEvent, MethodCall
from visionedge.uplink.local_hub import LocalHub

JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def hub(folder: Path, events: Events) -> Iterator[LocalHub]:
    hub = LocalHub(folder, Metrics(), max_bytes=100_000, poll_s=POLL_S)
    hub.start(events)
    events.wait(lambda event: isinstance(event, DesiredDocument))
    yield hub
    hub.close(10)


def escalation_body(jpeg: bytes = JPEG) -> bytes:
    image = {"content_type": "image/jpeg", "data": base64.b64encode(jpeg).decode()}
    return json.dumps({"schema": "escalation/1", "image": image}).encode()


def lines(folder: Path, kind: Kind) -> list[dict[str, object]]:
    (path,) = folder.glob(f"{kind}-*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_picture_lies_beside_its_line(hub: LocalHub, folder: Path) -> None:
    hub.send(envelope(id="e-1", body=escalation_body(), properties={"camera": "line-1"}))
    (line,) = lines(folder, Kind.ESCALATION)
    assert line["id"] == "e-1"
    assert line["properties"] == {"camera": "line-1"}
    assert line["body"] == {
        "schema": "escalation/1",
        "image": {"content_type": "image/jpeg", "file": "images/e-1.jpg"},
    }
    assert (folder / "images" / "e-1.jpg").read_bytes() == JPEG


def test_an_escalation_that_is_sent_again_is_not_written_again(hub: LocalHub, folder: Path) -> None:
    for _ in range(3):
        hub.send(envelope(id="e-1", body=escalation_body()))
    assert len(lines(folder, Kind.ESCALATION)) == 1


def test_an_id_cannot_lead_out_of_the_folder(hub: LocalHub, folder: Path) -> None:
    hub.send(envelope(id="../../escape", body=escalation_body()))
    assert [path.name for path in (folder / "images").iterdir()] == ["escape.jpg"]


@pytest.mark.parametrize(
    "body",
    [b"\xff\x00 not JSON", b"[1]", b'{"image": 7}', b'{"image": {"data": "not base64!"}}'],
)
def test_a_body_of_any_form_is_kept(hub: LocalHub, folder: Path, body: bytes) -> None:
    hub.send(envelope(Kind.TELEMETRY, body=body))
    (line,) = lines(folder, Kind.TELEMETRY)
    try:
        assert line["body"] == json.loads(body)
    except ValueError:
        assert line["body"] == {"base64": base64.b64encode(body).decode()}


def test_the_folder_is_bounded_and_the_oldest_go_first(hub: LocalHub, folder: Path) -> None:
    for i in range(40):
        hub.send(envelope(id=f"e-{i:02}", body=escalation_body()))
    total_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert total_bytes <= 115_000
    left = sorted(path.stem for path in (folder / "images").iterdir())
    assert left[-1] == "e-39"
    assert "e-00" not in left


def test_what_lies_there_from_before_counts(folder: Path, events: Events) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "old.jpg").write_bytes(b"x" * 500_000)
    hub = LocalHub(folder, Metrics(), max_bytes=100_000, poll_s=POLL_S)
    hub.start(events)
    hub.send(envelope(id="new", body=escalation_body()))
    assert not (folder / "images" / "old.jpg").exists()
    assert (folder / "images" / "new.jpg").exists()
    hub.close(10)


def test_settings_are_read_from_a_file_that_is_there_before_the_start(
    folder: Path, events: Events
) -> None:
    folder.mkdir()
    (folder / "desired.json").write_text('{"n": 1, "$version": 12}')
    hub = LocalHub(folder, Metrics(), poll_s=POLL_S)
    hub.start(events)
    events.wait(lambda event: event == DesiredDocument({"n": 1}, 12))
    hub.close(10)


@pytest.mark.parametrize("text", ["{half", "[1, 2]", "\x00"])
def test_a_file_that_is_no_object_changes_nothing_and_is_said_so(
    hub: LocalHub, folder: Path, events: Events, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(exist_ok=True)
    events.seen.clear()
    (folder / "desired.json").write_text(text)
    assert eventually(lambda: "desired.json is no JSON object" in caplog.text)
    assert events.seen == []
    (folder / "whole").write_text('{"n": 2}')
    (folder / "whole").replace(folder / "desired.json")
    events.wait(lambda event: getattr(event, "properties", None) == {"n": 2})


def dropped(folder: Path, events: Events, verdict: str, name: str = "v.json") -> MethodCall:
    """Drop a verdict whole, as a program should, and wait for the call that it makes."""
    (folder / "verdicts").mkdir(parents=True, exist_ok=True)
    (folder / "v").write_text(verdict)
    (folder / "v").replace(folder / "verdicts" / name)
    call = events.wait(lambda event: isinstance(event, MethodCall))
    assert isinstance(call, MethodCall)
    return call


def test_a_single_verdict_without_its_list_is_taken_too(
    hub: LocalHub, folder: Path, events: Events
) -> None:
    call = dropped(folder, events, '{"escalation_id": "e-1"}')
    assert call.payload == {"verdicts": [{"escalation_id": "e-1"}]}
    call.answer(200, {})
    assert eventually((folder / "verdicts" / "done" / "v.json").exists)


def test_a_verdict_that_is_no_json_is_refused_without_asking(
    hub: LocalHub, folder: Path, events: Events
) -> None:
    drop = folder / "verdicts"
    drop.mkdir(parents=True)
    (drop / "bad.json").write_text("nonsense")
    assert eventually((drop / "refused" / "bad.json").exists)
    assert not any(isinstance(event, MethodCall) for event in events.seen)


def test_a_verdict_that_is_refused_is_told_with_the_reason(
    hub: LocalHub, folder: Path, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    call = dropped(folder, events, '{"escalation_id": "e-1", "word": "nonsense"}')
    call.answer(400, {"error": "word: it is none of these"})
    assert eventually((folder / "verdicts" / "refused" / "v.json").exists)
    assert eventually(lambda: "v.json is refused with 400" in caplog.text)
    assert "word: it is none of these" in caplog.text


@pytest.mark.parametrize("word", ["", ', "word": "confirmed"'])
def test_a_verdict_on_an_escalation_that_nobody_knows_is_told_by_its_file(
    hub: LocalHub, folder: Path, events: Events, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    call = dropped(folder, events, f'{{"escalation_id": "e-9"{word}}}')
    result = {"escalation_id": "e-9", "status": "unknown"}
    call.answer(200, result if word else {"results": [result]})
    assert eventually(lambda: "verdict v.json: no such escalation: e-9" in caplog.text)
    assert (folder / "verdicts" / "done" / "v.json").exists()


def test_what_cannot_be_read_does_not_hold_up_the_verdicts_behind_it(
    hub: LocalHub, folder: Path, events: Events
) -> None:
    drop = folder / "verdicts"
    (drop / "a-folder.json").mkdir(parents=True)
    (drop / "b-deep.json").write_text("[" * 200_000)
    dropped(folder, events, '{"escalation_id": "e-1"}', "c.json").answer(200, {})
    assert eventually((drop / "done" / "c.json").exists)
    assert eventually((drop / "refused" / "b-deep.json").exists)


def test_settings_that_could_not_be_read_are_read_when_they_can_be(
    folder: Path, events: Events
) -> None:
    barred, drop = folder / "desired.json", folder / "verdicts"
    barred.mkdir(parents=True)
    drop.mkdir()
    (drop / "v.json").write_text('{"escalation_id": "e-1"}')
    hub = LocalHub(folder, Metrics(), poll_s=POLL_S)
    hub.start(events)
    call = events.wait(lambda event: isinstance(event, MethodCall))
    assert isinstance(call, MethodCall)
    call.answer(200, {})
    # As old as before: who lets it be read does not write it.
    given, then_ns = folder / "given", barred.stat().st_mtime_ns
    given.write_text('{"decision": {"accept": 0.7}}')
    os.utime(given, ns=(then_ns, then_ns))
    barred.rmdir()
    given.replace(barred)
    events.wait(lambda event: event == DesiredDocument({"decision": {"accept": 0.7}}, 1))
    hub.close(10)


def test_half_a_line_of_a_full_disk_takes_no_whole_one_with_it(hub: LocalHub, folder: Path) -> None:
    hub.send(envelope(id="e-1", body=escalation_body()))
    (path,) = folder.glob(f"{Kind.ESCALATION}-*.jsonl")
    with path.open("a") as file:
        file.write('{"id": "e-2", "crea')
    hub.send(envelope(id="e-2", body=escalation_body()))
    first, half, second = path.read_text().splitlines()
    assert [json.loads(line)["id"] for line in (first, second)] == ["e-1", "e-2"]
    assert half == '{"id": "e-2", "crea'


def test_a_busy_module_is_asked_again(folder: Path) -> None:
    asked: list[MethodCall] = []

    def busy_once(event: HubEvent) -> None:
        if isinstance(event, MethodCall):
            asked.append(event)
            event.answer(503 if len(asked) == 1 else 200, {})

    drop = folder / "verdicts"
    drop.mkdir(parents=True)
    (drop / "v.json").write_text('{"escalation_id": "e-1"}')
    hub = LocalHub(folder, Metrics(), poll_s=POLL_S)
    hub.start(busy_once)
    assert eventually((drop / "done" / "v.json").exists)
    assert len(asked) == 2
    hub.close(10)


def test_a_verdict_that_is_still_being_copied_is_waited_for(folder: Path) -> None:
    drop = folder / "verdicts"
    drop.mkdir(parents=True)
    parts = ['{"escala', 'tion_id": ', '"e-1"}']
    asked: list[str] = []

    def copies_on(event: HubEvent) -> None:
        # Between two looks: the one behind it is asked about in each.
        if isinstance(event, MethodCall):
            asked.append(event.payload["verdicts"][0]["escalation_id"])
            if parts:
                with (drop / "a.json").open("a") as file:
                    file.write(parts.pop(0))
            event.answer(503 if asked[-1] == "e-2" and "e-1" not in asked else 200, {})

    (drop / "a.json").write_text(parts.pop(0))
    (drop / "b.json").write_text('{"escalation_id": "e-2"}')
    hub = LocalHub(folder, Metrics(), poll_s=POLL_S)
    hub.start(copies_on)
    assert eventually((drop / "done" / "b.json").exists)
    assert asked == ["e-2", "e-2", "e-1", "e-2"]
    assert (drop / "done" / "a.json").exists()
    hub.close(10)


def test_a_damaged_report_is_begun_anew(hub: LocalHub, folder: Path) -> None:
    hub.report({"a": 1})
    (folder / "reported.json").write_text("{half")
    hub.report({"b": 2})
    assert json.loads((folder / "reported.json").read_text()) == {"b": 2}
