"""One line for each picture that left, before it leaves; and what `audit` makes of them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.envelopes import envelope, resolution
from tests.support.hub_fake import FakeHub

from visionedge.__main__ import main
from visionedge.entities import Envelope, Kind, Outcome
from visionedge.errors import UplinkUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.egress import EgressLedger, RecordedHub, read_ledger
from visionedge.uplink.spool import Spool

MAY = datetime(2026, 5, 1, tzinfo=UTC)


def picture(id_: str, *, size_bytes: int = 1000) -> Envelope:
    body = {
        "camera": "line-1",
        "reason": "margin",
        "model": {"name": "m"},
        "image": {"sha256": "ab" * 32, "size_bytes": size_bytes, "masked": 2},
    }
    return envelope(id=id_, body=json.dumps(body).encode())


def connected() -> FakeHub:
    hub = FakeHub()
    hub.start(lambda _: None)
    return hub


def test_a_picture_is_listed_with_hash_bytes_reason_mask_and_verdict(tmp_path: Path) -> None:
    ledger = EgressLedger(tmp_path / "e.jsonl", 2**20, FakeClock(MAY))
    hub = connected()
    RecordedHub(hub, ledger).send(picture("a"))
    judged = (("open", 0.4, False),)
    ledger.note(replace(resolution("a", Outcome.CORRECTED), judged=judged))
    (entry,) = read_ledger(tmp_path / "e.jsonl")
    assert [sent.id for sent in hub.received] == ["a"]
    assert entry == {
        "at": MAY.isoformat(),
        "id": "a",
        "to": "hub",
        "camera": "line-1",
        "reason": "margin",
        "model": "m",
        "captured_at": "",
        "sha256": "ab" * 32,
        "bytes": 1000,
        "masked": 2,
        "verifier": "test",
        "outcome": "corrected",
        "claims": [["open", 0.4, False]],
    }


def test_the_line_is_on_the_disk_before_the_hub_is_asked(tmp_path: Path) -> None:
    hub = connected()
    seen: list[int] = []
    hub.on_send = lambda _: seen.append(len(list(read_ledger(tmp_path / "e.jsonl"))))
    RecordedHub(hub, EgressLedger(tmp_path / "e.jsonl", 2**20)).send(picture("a"))
    assert seen == [1]


def test_where_the_line_cannot_be_written_nothing_leaves(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    hub = connected()
    recorded = RecordedHub(hub, EgressLedger(tmp_path / "taken" / "e.jsonl", 2**20))
    with pytest.raises(UplinkUnavailable, match="egress ledger"):
        recorded.send(picture("a"))
    assert hub.received == []
    recorded.send(envelope(Kind.TELEMETRY))
    assert len(hub.received) == 1


def test_telemetry_is_no_picture(tmp_path: Path) -> None:
    RecordedHub(connected(), EgressLedger(tmp_path / "e.jsonl", 2**20)).send(
        envelope(Kind.TELEMETRY)
    )
    assert list(read_ledger(tmp_path / "e.jsonl")) == []


def test_a_resend_is_listed_once_also_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        ledger = EgressLedger(tmp_path / "e.jsonl", 2**20)
        for _ in range(2):
            RecordedHub(connected(), ledger).send(picture("a"))
    assert len(list(read_ledger(tmp_path / "e.jsonl"))) == 1
    assert len((tmp_path / "e.jsonl").read_text().splitlines()) == 2


def test_the_ledger_is_bounded_and_gives_up_its_oldest_lines(tmp_path: Path) -> None:
    ledger = EgressLedger(tmp_path / "e.jsonl", 64 * 1024, FakeClock(MAY))
    for number in range(600):
        ledger.leaves(picture(f"p{number}"))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 64 * 1024
    kept = [entry["id"] for entry in read_ledger(tmp_path / "e.jsonl")]
    assert kept == [f"p{number}" for number in range(600 - len(kept), 600)]
    assert len(kept) > 100


def test_half_a_line_of_a_power_cut_costs_nothing_but_itself(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    EgressLedger(path, 2**20).leaves(picture("a"))
    with path.open("ab") as file:
        file.write(b'{"at": "2026-05-01T00:0')
    EgressLedger(path, 2**20).leaves(picture("b"))
    assert [entry["id"] for entry in read_ledger(path)] == ["a", "b"]


def test_the_spool_tells_the_ledger_of_verdicts_and_of_expiry_once(tmp_path: Path) -> None:
    clock = FakeClock(MAY)
    ledger = EgressLedger(tmp_path / "e.jsonl", 2**20, clock)
    spool = Spool(
        tmp_path / "spool.db", max_bytes=2**20, max_age_s=3600, metrics=Metrics(), clock=clock
    )
    spool.tell_settled(ledger.note)
    for id_ in ("answered", "silent"):
        spool.put(picture(id_))
        ledger.leaves(picture(id_))
    for _ in range(2):
        spool.settle(resolution("answered"))
    clock.advance(7200)
    spool.expire()
    spool.close()
    ends = {entry["id"]: entry["outcome"] for entry in read_ledger(tmp_path / "e.jsonl")}
    assert ends == {"answered": "confirmed", "silent": "expired"}
    assert len((tmp_path / "e.jsonl").read_text().splitlines()) == 4


def written(tmp_path: Path) -> Path:
    clock = FakeClock(MAY)
    ledger = EgressLedger(tmp_path / "e.jsonl", 2**20, clock)
    for day in range(40):
        ledger.leaves(picture(f"p{day}", size_bytes=10))
        clock.advance(timedelta(days=1).total_seconds())
    ledger.note(resolution("p0"))
    return tmp_path / "e.jsonl"


def test_audit_tells_what_left_in_may(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    span = ["--since", "2026-05-01", "--until", "2026-06-01"]
    assert main(["audit", "--ledger", str(path), *span]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "31 pictures, 310 bytes: 30 no verdict, 1 confirmed"
    assert "confirmed by test" in lines[0]


def test_audit_gives_one_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--ledger", str(written(tmp_path)), "--json"]) == 0
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(entries) == 40
    assert entries[0]["id"] == "p0"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "yesterday"], "--since: `yesterday` is no time"),
        (["--ledger", "no/such.jsonl"], "there is no ledger no/such.jsonl"),
    ],
)
def test_audit_says_what_is_wrong(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = [] if "--ledger" in arguments else ["--ledger", str(written(tmp_path))]
    assert main(["audit", *ledger, *arguments]) == 2
    assert told in capsys.readouterr().err


def test_an_audit_tells_of_lines_that_are_none_and_counts_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.jsonl"
    EgressLedger(path, 2**20).leaves(picture("a"))
    with path.open("ab") as file:
        file.write(b'[1]\n{"at": "at noon", "event": "left", "id": "b"}\n')
        file.write(b'{"at": "2026-05-01T00:00:00+00:00", "event": "left", "id": ["c"]}\n')
        file.write(
            b'{"at": "2026-05-01T00:00:00+00:00", "event": "left", "id": "d", "bytes": Infinity}\n'
        )
    assert main(["audit", "--ledger", str(path)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith("1 pictures, ")
    assert f"{path}:2 and 3 more: no lines of a ledger" in told.err


def test_an_audit_of_a_folder_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (str(tmp_path), ".", "/"):
        assert main(["audit", "--ledger", folder]) == 2
        assert f"the ledger {folder} cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00", b"[1]\n{}\n", b"\n"])
def test_a_file_that_is_no_ledger_is_not_taken_for_one_of_nothing(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(content)
    for command in (["audit", "--ledger"], ["calibrate", "--verdicts"]):
        assert main([*command, str(path)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert f"{path} is no ledger" in told.err
    path.write_bytes(b"")
    assert main(["audit", "--ledger", str(path)]) == 0
    assert capsys.readouterr().out == "0 pictures, 0 bytes\n"
