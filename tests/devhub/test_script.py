"""Faults over time: what a script is, and that it happens when it says."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devhub import DevHub, ScriptError
from devhub.faults import Faults
from devhub.rows import MOMENTS, ROWS
from devhub.script import Script, parse, read

STORM = """
every = 60
[[step]]
at = 5
for = 10
row = "lost-puback"
[[step]]
at = 5.5
for = 1
fault = "latency_s"
value = 0.4
[[step]]
at = 40
do = "rotate-ca"
"""


def test_a_script_is_read_from_toml_and_the_same_from_json(tmp_path: Path) -> None:
    toml, as_json = tmp_path / "storm.toml", tmp_path / "storm.json"
    toml.write_text(STORM)
    steps = [
        {"at": 5, "for": 10, "row": "lost-puback"},
        {"at": 5.5, "for": 1, "fault": "latency_s", "value": 0.4},
        {"at": 40, "do": "rotate-ca"},
    ]
    as_json.write_text(json.dumps({"every": 60, "step": steps}))
    script = read(toml)
    assert read(as_json) == script
    assert script.every_s == 60
    assert [(step.at_s, step.for_s) for step in script.steps] == [(5, 10), (5.5, 1), (40, 0)]
    assert script.steps[1].row.faults == {"latency_s": 0.4}


def test_what_ends_at_a_moment_ends_before_the_next_begins() -> None:
    steps = [
        {"at": 2, "for": 1, "fault": "lose_puback"},
        {"at": 1, "for": 1, "fault": "lose_puback"},
    ]
    moments = parse({"step": steps}).moments()
    assert [at for at, _ in moments] == [1, 2, 2, 3]
    assert [call.__name__ for _, call in moments] == ["begin", "end", "begin", "end"]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"row": "lost-puback"}, "step 1: `at` is missing"),
        ({"at": "soon", "row": "lost-puback"}, "`at` is 'soon', and should be seconds"),
        ({"at": True, "row": "lost-puback"}, "`at` is True"),
        ({"at": -1, "row": "lost-puback"}, "`at` is -1, and should be seconds from 0 on"),
        ({"at": math.inf, "row": "lost-puback"}, "`at` is inf"),
        ({"at": math.nan, "row": "lost-puback"}, "`at` is nan"),
        ({"at": 1, "for": 0, "row": "lost-puback"}, "`for` is more than 0"),
        ({"at": 1, "row": "lost-pubac"}, "no row is called 'lost-pubac'; there are refuse-tcp, "),
        ({"at": 1, "row": ["lost-puback"]}, r"no row is called \['lost-puback'\]"),
        ({"at": 1, "fault": "latency_s", "value": "slow"}, "latency_s cannot be 'slow'"),
        ({"at": 1, "fault": "latency_s", "value": [1]}, r"latency_s cannot be \[1\]"),
        ({"at": 1, "fault": "lose_pubac"}, "no fault is called 'lose_pubac'"),
        ({"at": 1, "do": "cut"}, "no do is called 'cut'; there are drop, "),
        ({"at": 1, "for": 2, "do": "drop"}, "`for` is of no use"),
        ({"at": 1, "value": 2, "row": "lost-puback"}, "`value` goes with `fault`"),
        ({"at": 1, "row": "lost-puback", "do": "drop"}, "one of row, fault, do, and this has 2"),
        ({"at": 1}, "one of row, fault, do, and this has 0"),
        ({"at": 1, "row": "lost-puback", "until": 3}, "until means nothing"),
        ("lost-puback", "a step is a table"),
    ],
)
def test_a_step_that_cannot_be_played_is_named_with_the_reason(step: object, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        parse({"step": [step]})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "a script holds `step`"),
        ({}, "a script has steps"),
        ({"step": []}, "a script has steps"),
        ({"step": {"at": 1}}, "a script has steps"),
        ({"steps": []}, "nothing else"),
        (
            {"every": 5, "step": [{"at": 4, "for": 2, "row": "latency"}]},
            "`every` is 5, and the last step ends at 6 s",
        ),
        (
            {"every": 5, "step": [{"at": 4, "row": "latency"}]},
            "`every` is 5, and the last step ends at inf s",
        ),
        (
            {
                "step": [
                    {"at": 0, "for": 9, "row": "workload-500"},
                    {"at": 5, "for": 1, "row": "connack-3"},
                ]
            },
            "step 2: connack_code is still on from step 1",
        ),
    ],
)
def test_a_script_that_cannot_be_played_is_refused(document: object, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        parse(document)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"storm\.toml cannot be read: No such file"):
        read(tmp_path / "storm.toml")
    (tmp_path / "storm.toml").write_text("[[step]\nat = 1")
    with pytest.raises(ScriptError, match=r"storm\.toml: .*line 1"):
        read(tmp_path / "storm.toml")
    (tmp_path / "storm.json").write_bytes(b"\xff{")
    with pytest.raises(ScriptError, match=r"storm\.json: "):
        read(tmp_path / "storm.json")


def quickly(*steps: dict[str, Any], every: float = 0) -> Script:
    return parse({"every": every, "step": [*steps]})


def seen_on(devhub: DevHub) -> list[str]:
    """What each change of the faults left in force."""
    seen: list[str] = []
    devhub.on_event(lambda event: seen.append(event.detail) if event.kind == "faults" else None)
    return seen


def test_faults_begin_and_end_in_their_order(devhub: DevHub) -> None:
    seen = seen_on(devhub)
    player = devhub.play(
        quickly(
            {"at": 0.02, "for": 0.06, "fault": "latency_s", "value": 0.1},
            {"at": 0.04, "for": 0.02, "row": "lost-puback"},
            {"at": 0.1, "row": "silent-cloud"},
        )
    )
    assert player.ended.wait(10)
    devhub.wait(lambda: len(seen) == 5)
    assert seen == [
        "latency_s=0.1",
        "lose_puback=True, latency_s=0.1",
        "latency_s=0.1",
        "none",
        "silent_cloud=True",
    ]


def test_a_script_begins_anew_until_it_is_stopped_and_leaves_nothing_on(devhub: DevHub) -> None:
    seen = seen_on(devhub)
    player = devhub.play(quickly({"at": 0, "for": 0.02, "row": "latency"}, every=0.04))
    devhub.wait(lambda: seen.count("latency_s=0.3") >= 3)
    player.stop()
    assert player.ended.is_set()
    assert devhub.faults == Faults()


def test_stopping_a_script_leaves_the_faults_of_others(devhub: DevHub) -> None:
    devhub.set_faults(never_synced=True)
    player = devhub.play(quickly({"at": 0, "row": "latency"}, {"at": 500, "row": "lost-puback"}))
    devhub.wait(lambda: devhub.faults.latency_s > 0)
    player.stop()
    assert devhub.faults.active() == {"never_synced": True}


def test_a_hub_that_closes_ends_its_scripts() -> None:
    with DevHub() as hub:
        player = hub.play(quickly({"at": 500, "row": "latency"}))
    assert player.ended.is_set()
    assert player.error is None


@pytest.mark.parametrize("name", ROWS)
def test_every_row_begins_and_ends(devhub: DevHub, name: str) -> None:
    row = ROWS[name]
    row.begin(devhub)
    assert devhub.faults.active() == dict(row.faults)
    row.end(devhub)
    assert devhub.faults == Faults()


@pytest.mark.parametrize(
    ("moment", "happened"),
    [
        ("drop", "dropped the link"),
        ("lose-sessions", "re-created"),
        ("rotate-ca", "authority was rotated"),
    ],
)
def test_every_moment_does_what_it_says(
    devhub: DevHub, new_client: Callable[..., Any], moment: str, happened: str
) -> None:
    new_client().connect()
    MOMENTS[moment](devhub)
    devhub.wait(lambda: happened in devhub.last_events())
