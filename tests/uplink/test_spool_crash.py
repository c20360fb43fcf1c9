"""`kill -9` at random moments, over put, hand over, receipt and eviction."""

import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.envelopes import resolution

from visionedge.entities import Kind
from visionedge.metrics import Metrics
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import Settled


@dataclass
class Witness:
    """What the killed processes had been told before they died."""

    put: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    first: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        word, _, id_ = line.partition(" ")
        match word:
            case "put":
                self.put.add(id_)
            case "lost":
                self.lost.add(id_)
            case "first":
                self.first.append(id_)


def crash_once(folder: Path, round_: int, witness: Witness, chance: random.Random) -> None:
    """Start a process on the spool, kill it after a few operations and a random moment."""
    command = [sys.executable, "-m", "tests.support.spool_crasher", str(folder)]
    with subprocess.Popen([*command, str(round_ * 100_000)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 40)):
            line = process.stdout.readline().decode().strip()
            assert line, f"the process ended by itself, with {process.wait(10)}"
            witness.hear(line)
        # The moment of the kill falls anywhere into an operation: that is the randomness.
        process.send_signal(signal.SIGKILL)
        for rest in process.stdout.read().decode().splitlines():
            witness.hear(rest)


def check(folder: Path, witness: Witness) -> None:
    """Everything that was said must still hold, and the file must open."""
    spool = Spool(folder / "spool.db", max_bytes=1_500_000, max_age_s=3600, metrics=Metrics())
    ledger = spool.ledger()
    entries = {entry: tally.messages for (_, entry), tally in ledger.items()}
    waiting = spool.backlog()[Kind.ESCALATION].messages
    assert entries.pop("put") == waiting + sum(entries.values())
    assert len(witness.first) == len(set(witness.first)), "a verdict was merged twice"
    for id_ in witness.first:
        assert spool.settle(resolution(id_)) is Settled.DUPLICATE
    missing = {
        id_
        for id_ in witness.put - witness.lost - set(witness.first)
        if spool.find(id_) is None and spool.settle(resolution(id_)) is Settled.UNKNOWN
    }
    # One eviction may have been committed whose word the kill cut off, in each round.
    assert len(missing) <= entries.get("evicted", 0) - len(witness.lost)
    spool.close()
    assert not list(folder.glob("*.corrupt-*"))


def crash(folder: Path, rounds: int) -> None:
    chance, witness = random.Random(rounds), Witness()
    for round_ in range(rounds):
        crash_once(folder, round_, witness, chance)
        check(folder, witness)
    assert len(witness.put) > rounds
    assert len(witness.first) > rounds // 4


def test_nothing_taken_is_lost_and_no_verdict_is_merged_twice_over_crashes(tmp_path: Path) -> None:
    crash(tmp_path, rounds=8)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_crashes(tmp_path: Path) -> None:
    crash(tmp_path, rounds=200)
