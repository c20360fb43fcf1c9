"""Disks that are full, read-only, hung or damaged: said, counted, and outlived."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.envelopes import OpenSpool, envelope, resolution

from visionedge.entities import Kind
from visionedge.errors import SpoolCorrupt, SpoolUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import Settled

TINY_DISK = """
import sys
from pathlib import Path
from tests.support.envelopes import envelope
from visionedge.errors import SpoolUnavailable
from visionedge.metrics import Metrics
from visionedge.uplink.spool import Spool

folder = Path(sys.argv[1])
spool = Spool(folder / "spool.db", max_bytes=2**40, max_age_s=3600, metrics=Metrics())
taken = []
try:
    for i in range(100):
        spool.put(envelope(id=f"e{i}", body=b"x" * 100_000))
        taken.append(f"e{i}")
except SpoolUnavailable as error:
    print("refused:", error)
filler = folder / "filler"
try:
    filler.write_bytes(b"x" * 2**26)
except OSError:
    pass
print("still readable:", spool.next_to_send(1).id == taken[0])
filler.unlink()
spool.mark_sent(taken[0])
spool.close()
again = Spool(folder / "spool.db", max_bytes=2**40, max_age_s=3600, metrics=Metrics())
kept = [id for id in taken if again.find(id) is not None]
print("kept:", len(taken) > 3 and kept == taken)
"""


def damage(path: Path, offset: int = 0) -> None:
    """Overwrite most of the file with rubbish, from `offset` on."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * (size - offset))


def aside(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("*.corrupt-*") if not p.name.endswith(("wal", "shm")))


@pytest.fixture
def spool_path(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "spool.db"


@pytest.mark.parametrize("offset", [0, 4096], ids=["header", "pages"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    open_spool: OpenSpool, spool_path: Path, offset: int
) -> None:
    first = open_spool()
    for i in range(20):
        first.put(envelope(id=f"e{i}", body=b"x" * 10_000))
    first.close()
    damage(spool_path, offset)
    spool = open_spool()
    spool.put(envelope(id="new"))
    assert (message := spool.next_to_send(9))
    assert message.id == "new"
    assert aside(spool_path.parent) == ["spool.db.corrupt-20260101T000000Z"]


def test_damage_in_mid_run_is_counted_by_what_was_in_the_file(
    tmp_path: Path, clock: FakeClock, metrics: Metrics
) -> None:
    told: list[SpoolCorrupt] = []

    def report(error: SpoolCorrupt) -> None:
        told.append(error)
        spool.put(envelope(Kind.HEALTH, id="report"))

    path = tmp_path / "spool.db"
    spool = Spool(
        path, max_bytes=10**7, max_age_s=99, metrics=metrics, clock=clock, on_corrupt=report
    )
    for i in range(5):
        spool.put(envelope(id=f"e{i}", body=b"x" * 10_000))
    spool.close()
    damage(path)
    spool.put(envelope(id="new"))
    lost = {"kind": "escalation", "cause": "corrupt"}
    assert metrics.value("visionedge_spool_lost_total", lost) == 5
    assert "set aside as spool.db.corrupt-" in str(told[0])
    assert spool.backlog()[Kind.HEALTH].messages == 1, "whoever is told may put a report"
    spool.close()


def test_only_the_newest_damaged_file_is_kept(
    open_spool: OpenSpool, spool_path: Path, clock: FakeClock
) -> None:
    for _ in range(3):
        spool = open_spool()
        spool.put(envelope())
        spool.close()
        damage(spool_path)
        clock.advance(60)
    open_spool().put(envelope())
    assert aside(spool_path.parent) == ["spool.db.corrupt-20260101T000300Z"]


def test_a_file_of_another_layout_is_set_aside(open_spool: OpenSpool, spool_path: Path) -> None:
    open_spool().put(envelope())
    open_spool().close()
    with sqlite3.connect(spool_path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert open_spool().backlog()[Kind.ESCALATION].messages == 0
    assert len(aside(spool_path.parent)) == 1


def test_the_database_of_another_program_is_left_alone(
    open_spool: OpenSpool, spool_path: Path
) -> None:
    spool_path.parent.mkdir()
    with sqlite3.connect(spool_path) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    before = spool_path.read_bytes()
    with pytest.raises(SpoolUnavailable, match="another program.*spool.path"):
        open_spool().put(envelope())
    assert spool_path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_said_and_mended_without_a_restart(
    tmp_path: Path, clock: FakeClock, metrics: Metrics
) -> None:
    blocker = tmp_path / "spool"
    blocker.write_text("a file where the folder should be")
    path = blocker / "spool.db"
    spool = Spool(path, max_bytes=10**7, max_age_s=99, metrics=metrics, clock=clock)
    with pytest.raises(SpoolUnavailable, match="can be written"):
        spool.put(envelope())
    assert "can be written" in spool.fault
    blocker.unlink()
    assert spool.put(envelope()) == ()
    assert spool.fault == ""
    spool.close()


def test_another_process_that_holds_the_file_does_not_hold_us_for_ever(
    spool: Spool, spool_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visionedge.uplink.spool_file._BUSY", timedelta(milliseconds=50))
    spool.put(envelope(id="before"))
    other = sqlite3.connect(spool_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SpoolUnavailable, match="locked"):
        spool.put(envelope(id="during"))
    assert (message := spool.next_to_send(1))
    assert message.id == "before", "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    assert spool.settle(resolution("before")) is Settled.FIRST


def test_a_thread_that_hangs_in_the_disk_does_not_hang_the_others(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visionedge.uplink.spool_file._LOCK_TIMEOUT_S", 0.05)
    spool.put(envelope())
    inside, release = threading.Event(), threading.Event()

    def hang(_: sqlite3.Connection) -> None:
        inside.set()
        release.wait(10)

    thread = threading.Thread(target=spool._file.read, args=(hang,), daemon=True)
    thread.start()
    assert inside.wait(10)
    with pytest.raises(SpoolUnavailable, match="did not answer"):
        spool.put(envelope())
    release.set()
    thread.join(10)
    assert spool.put(envelope()) == ()


def test_a_full_disk_refuses_new_messages_and_keeps_the_old_ones(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o size=2m tmpfs {tmp_path}"
    if unshare is None or subprocess.run([unshare, "-rm", "sh", "-c", mount]).returncode:
        pytest.skip("needs a mount namespace, to make a small disk")
    run = f'{mount} && exec "$0" -c "$1" {tmp_path}'
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", run, sys.executable, TINY_DISK],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "refused: " in done.stdout, done.stderr
    assert "full" in done.stdout
    assert "still readable: True" in done.stdout, done.stderr
    assert "kept: True" in done.stdout, done.stderr


def test_a_file_that_was_taken_away_is_counted_as_lost_and_begun_anew(
    tmp_path: Path, clock: FakeClock, metrics: Metrics
) -> None:
    path = tmp_path / "run" / "spool.db"
    told: list[SpoolCorrupt] = []

    def opened() -> Spool:
        return Spool(
            path,
            max_bytes=10**7,
            max_age_s=99,
            metrics=metrics,
            clock=clock,
            on_corrupt=told.append,
        )

    spool = opened()
    spool.put(envelope(id="before"))
    shutil.rmtree(path.parent)
    spool.put(envelope(id="after"))
    again = opened()
    assert again.find("after") is not None, "what was put outlives the process"
    assert len(told) == 1
    assert metrics.counts("visionedge_spool_lost_total", "cause")["corrupt"] == 1
    again.close()
    spool.close()
