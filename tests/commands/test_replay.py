"""What the module recorded, decided again: the same, and told why."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
from tests.support.running import BUNDLE, busy_line, running, wait_until

from visionedge.__main__ import main
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.commands.replay_rules import alike
from visionedge.settings import Document

DECISION = {"accept": 0.5, "close": 0.45, "unstable": 0.5}


def pictures(folder: Path, count: int = 90) -> Path:
    """Frames of a line with many defects, as a camera would play them."""
    line = VirtualLine(LineSpec(width_px=640, height_px=360, defect_rate=1, lot_size=1, fps=15))
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:04d}.png"), line.render(8 * number))
    return folder


def played(folder: Path, tmp_path: Path) -> Document:
    """Settings of a module that looks at them."""
    return busy_line(
        tmp_path,
        cameras={"line-1": {"kind": "file", "path": str(folder), "fps": 15, "loop": True}},
        decision=DECISION,
        inference={"workers": 2},
        uplink={"kind": "local"},
        log={"trace": str(tmp_path / "trace.jsonl")},
    )


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_what_the_module_recorded_is_decided_the_same_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played")
    document = played(folder, tmp_path)
    document["cameras"]["line-1"] = {"kind": "file", "path": str(folder), "fps": 15}
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(document))
    outbox = tmp_path / "outbox"
    with running(document) as app:
        wait_until(
            lambda: (
                len([*(outbox / "images").glob("*.jpg")]) >= 3
                and app.metrics.value("visionedge_frames_processed_total") >= 120
            ),
            "some escalations, and the loop once over",
            90,
        )
    capsys.readouterr()

    trace = ["--trace", str(tmp_path / "trace.jsonl")]
    code = main(["replay", str(folder), "--config", str(config), *trace, "--json"])
    replayed = lines(capsys.readouterr().out)
    assert [line for line in replayed if not line["same"]] == []
    assert len(replayed) >= 120
    assert code == 0
    assert {"accept", "escalate", "suppress"} <= {line["action"] for line in replayed}
    assert any(line["rules"] for line in replayed)

    sent = sorted(outbox.glob("escalation-*.jsonl"))
    code = main(["replay", *map(str, sent), "--config", str(config), "--json"])
    messages = lines(capsys.readouterr().out)
    assert [line for line in messages if not line["same"]] == []
    assert len(messages) >= 3
    assert code == 0
    # By the rules and not by what was recorded, in some of them.
    assert any("not_replayed" not in line for line in messages)

    other = tmp_path / "other.json"
    other.write_text(json.dumps({**document, "decision": {**DECISION, "accept": 0.95}}))
    assert main(["replay", str(folder), "--config", str(other), *trace]) == 8
    assert "recorded:" in capsys.readouterr().out


def test_two_replays_of_pictures_are_the_same_and_tell_what_was_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 40)
    config = tmp_path / "settings.json"
    config.write_text(json.dumps({"models": {"default": {"path": BUNDLE}}, "decision": DECISION}))
    command = ["replay", str(folder), "--config", str(config), "--fps", "15"]
    assert main([*command, "--json"]) == 0
    first = capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert capsys.readouterr().out == first
    told = lines(first)
    assert sum("provisional" in line for line in told) == 40
    asked = [line for line in told if "asked" in line]
    opened = {line["question"] for line in told if line.get("action") == "escalate"}
    assert {line["question"] for line in asked} == opened
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "question 1:" in table
    assert "accept: confident" in table


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{}", "no escalations: id: is missing"),
        ("[1]", "no escalations: must be an object"),
        ("nothing", "no escalations"),
    ],
)
def test_what_is_no_escalation_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    path = tmp_path / "message.json"
    path.write_text(text)
    assert main(["replay", str(path)]) == 2
    assert word in capsys.readouterr().err


def test_an_empty_file_of_escalations_is_not_taken_for_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "escalation-20260504.jsonl"
    path.touch()
    assert main(["replay", str(path)]) == 2
    told = capsys.readouterr()
    assert f"{path} holds no escalations: it is empty" in told.err
    assert told.out == ""


def test_a_message_that_is_not_there_is_named_without_numbers_of_the_system(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(tmp_path / "none.json")]) == 2
    told = capsys.readouterr().err
    assert "none.json: No such file or directory" in told
    assert "Errno" not in told


def test_a_model_that_is_not_there_is_named_with_its_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 1)
    config = tmp_path / "settings.json"
    config.write_text(json.dumps({"models": {"default": {"path": "none-such"}}}))
    assert main(["replay", str(folder), "--config", str(config)]) == 2
    told = capsys.readouterr().err
    assert "model `default`: there is no model at none-such" in told
    assert "models.default.path" in told


def test_a_picture_that_cannot_be_read_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 1)
    (folder / "bad.png").write_bytes(b"")
    assert main(["replay", str(folder)]) == 4
    told = capsys.readouterr()
    assert "bad.png cannot be read: the file is empty" in told.err
    assert "0000.png" in told.out
    assert main(["replay", str(folder / "bad.png")]) == 4


def test_a_camera_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 1)
    assert main(["replay", str(folder), "--camera", "belt"]) == 2
    assert "line-1" in capsys.readouterr().err


def test_a_trace_that_does_not_fit_the_pictures_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 1)
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"call": "settle", "camera": "line-1", "seq": 5}\n')
    assert main(["replay", str(folder), "--trace", str(trace)]) == 2
    assert "does not fit" in capsys.readouterr().err
    trace.write_text('{"call": "decide", "camera": [], "seq": 0}\n')
    assert main(["replay", str(folder), "--trace", str(trace)]) == 2
    assert "does not fit" in capsys.readouterr().err


def test_what_is_no_trace_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pictures(tmp_path / "played", 1)
    trace = tmp_path / "trace.jsonl"
    for why in ("No such file or directory", "`1` is no call"):
        assert main(["replay", str(folder), "--trace", str(trace)]) == 2
        assert f"{trace} is no trace: {why} (name" in capsys.readouterr().err
        trace.write_text("1\n")


@pytest.mark.parametrize("content", ["", '{"call": "dec'])
def test_a_file_without_a_line_of_a_trace_is_not_taken_for_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    folder = pictures(tmp_path / "played", 1)
    trace = tmp_path / "trace.jsonl"
    trace.write_text(content)
    assert main(["replay", str(folder), "--trace", str(trace)]) == 2
    told = capsys.readouterr()
    assert f"{trace} is no trace: it holds no line of a trace (name" in told.err
    assert told.out == ""
    trace.write_text('{"detections": []}')
    assert main(["replay", str(folder), "--trace", str(trace)]) == 2
    assert "trace.jsonl does not fit" in capsys.readouterr().err


def test_pictures_that_no_camera_plays_are_not_among_the_frames_of_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 1)
    (folder / "0.gif").touch()
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"call": "spend", "camera": "line-1", "size_bytes": 1, "now_ns": 1}\n')
    assert main(["replay", str(folder), "--trace", str(trace)]) == 0
    assert "1 files left out, by their names no pictures, such as 0.gif" in capsys.readouterr().err
    assert main(["replay", str(folder)]) == 4


def test_a_last_line_without_its_end_is_read_where_it_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 1)
    spent = '{"call": "spend", "camera": "line-1", "size_bytes": 1, "now_ns": 1}'
    trace = tmp_path / "trace.jsonl"
    for last, code in (('{"call": "set', 0), ("[1]", 2), ('{"call": "settle"}', 2)):
        trace.write_text(f"{spent}\n{last}")
        assert main(["replay", str(folder), "--trace", str(trace)]) == code
    assert "does not fit: 'camera'" in capsys.readouterr().err


def test_whoever_watches_a_long_replay_sees_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "played", 6)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["replay", str(folder), "--json"]) == 0
    assert "/6 [" in capsys.readouterr().err


def test_numbers_that_differ_in_the_last_digits_alone_are_the_same() -> None:
    assert alike(("margin", 0.85), ("margin", 0.8500000238))
    assert not alike(("margin", 0.85), ("margin", 0.8501))
    assert not alike(("margin", 0.85), ("rivals", 0.85))
    assert not alike(("confident", None), ("confident", 0.0))
