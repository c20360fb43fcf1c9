"""The loop's judgement: it fails for each thing that must not be, and says which."""

import datetime as dt
import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loop import __main__ as command
from loop.journal import Journal, Step, Story
from loop.report import Run, timeline, totals
from loop.storage import StorageAbsent

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def story(id_: str = "a" * 32, state: str = "delivered", **changes: Any) -> Story:  # noqa: ANN401 - fields
    merged = Counter(merged=1) if state == "delivered" else Counter()
    at = {step: NOW + dt.timedelta(milliseconds=10 * n) for n, step in enumerate(Step)}
    told = Story(id_, "line", at, copies=1, paid=1, results=merged, state=state)
    return replace(told, **changes)


GOOD = Run(
    stories=[story(), story("b" * 32, "expired", paid=0)],
    spoiled=1,
    dead={"not_json": 1},
    still_open=0,
    calls=Counter(answered=1, throttled=2),
    exits={"verifier-1": 0},
)


def test_where_all_held_there_is_no_fault() -> None:
    assert GOOD.faults == []
    killed = replace(GOOD, stories=[story(paid=2)], in_flight=4, calls=Counter(answered=2))
    assert killed.faults == []


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        (replace(GOOD, stories=[]), "no escalation came from the line"),
        (replace(GOOD, stories=[story(state="claimed")]), "the ledger says claimed"),
        (replace(GOOD, stories=[story(state="")]), "the ledger says nothing"),
        (replace(GOOD, stories=[story(results=Counter(merged=2))]), "merged 2 times"),
        (replace(GOOD, stories=[story(results=Counter(unknown=1))]), "merged 0 times"),
        (replace(GOOD, stories=[story(state="expired", results=Counter(merged=1))]), "merged 1"),
        (replace(GOOD, calls=Counter(answered=3)), "3 calls were paid for 2 escalations"),
        (
            replace(GOOD, stories=[story(paid=2), story("c" * 32, paid=0)]),
            "1 calls were paid again",
        ),
        (replace(GOOD, dead={}), "1 messages were spoiled"),
        (replace(GOOD, dead={"not_json": 1, "bug": 1}), "'bug': 1"),
        (replace(GOOD, still_open=2), "2 cases as open"),
        (replace(GOOD, module_lost=1), "the module lost 1"),
        (replace(GOOD, unseen=3), "3 escalations came to the hub"),
        (replace(GOOD, exits={"verifier-1": 7}), "'verifier-1': 7"),
    ],
)
def test_each_thing_that_must_not_be_is_a_fault(run: Run, fault: str) -> None:
    assert any(fault in each for each in run.faults), run.faults


def test_a_line_tells_the_way_of_each_escalation_in_milliseconds() -> None:
    head, line, late = timeline(GOOD.stories).splitlines()
    assert head.split() == ["escalation", *list(Step)[1:], "ended", "copies", "paid"]
    assert line.split() == [
        "aaaaaa", "10", "20", "30", "40", "50", "60", "70", "delivered", "1", "1",
    ]  # fmt: skip
    assert late.split()[-3:] == ["expired", "1", "0"]


def test_the_totals_tell_what_was_paid_and_what_was_dropped() -> None:
    stories = [story(copies=3), story("b" * 32, "expired")]
    lines = totals(replace(GOOD, stories=stories)).splitlines()
    told: dict[str, str] = {}
    for line in lines:
        name, _, text = line.strip().partition("  ")
        told[name] = text.strip()
    assert told["delivered"].startswith("1,")
    assert (told["duplicates dropped"], told["expired"], told["paid calls"]) == ("2", "1", "1")
    assert told["poison"] == "1 (not_json 1)"
    assert told["faults of the API"] == "throttled 2"


def test_of_two_questions_about_one_picture_each_is_paid_once() -> None:
    journal = Journal()
    assert journal.begin("a", "line", "picture", {})
    assert journal.begin("b", "line", "picture", {})
    assert not journal.begin("a", "line", "picture", {})
    journal.charged("picture")
    journal.charged("picture")
    assert [each.paid for each in journal.stories()] == [1, 1]


def test_without_azurite_or_proton_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(_: Path) -> str:
        raise StorageAbsent("Azurite is not installed: `make azurite`")

    monkeypatch.setattr(command, "find_azurite", absent)
    assert command.main([]) == 2
    assert "make azurite" in capsys.readouterr().err
    monkeypatch.setattr(command, "find_azurite", lambda _: "azurite")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert command.main([]) == 2
    assert "make proton" in capsys.readouterr().err


def test_a_folder_with_anything_else_in_it_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_azurite", lambda _: "azurite")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    (tmp_path / "thesis.txt").write_text("all my work")
    assert command.main(["--folder", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()
