"""A folder of what is kept belongs to one module at a time, for as long as that lives."""

import fcntl
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from visionedge import settings
from visionedge.errors import SettingsError
from visionedge.metrics import Metrics
from visionedge.runtime.worker import Worker
from visionedge.settings import Document, LastGood
from visionedge.settings.last_good import NAME
from visionedge.uplink import spool_claim
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_claim import alone


def at(path: Path | str) -> Document:
    return {"spool": {"path": str(path)}}


def begin(folder: Path, name: str = "spool.db") -> settings.Beginning:
    return settings.begin([at(folder / name)])


@pytest.mark.parametrize("name", ["spool.db", "another.db"])
def test_a_second_one_is_refused_by_name_with_its_mend(tmp_path: Path, name: str) -> None:
    second = begin(tmp_path, name)
    with alone(begin(tmp_path)), pytest.raises(SettingsError) as caught, alone(second):
        pytest.fail("both are in")
    assert caught.value.exit_code == 2
    assert str(tmp_path / name) in str(caught.value)
    assert "in a folder of its own" in caught.value.hint
    assert "spool.path" in caught.value.fields


def test_what_was_let_go_can_be_taken_at_once(tmp_path: Path) -> None:
    for _ in range(3):
        with alone(begin(tmp_path)):
            pass


def test_two_folders_are_two_modules(tmp_path: Path) -> None:
    with alone(begin(tmp_path / "a")), alone(begin(tmp_path / "b")):
        assert (tmp_path / "b").is_dir()


def test_a_child_that_outlives_the_module_holds_nothing(tmp_path: Path) -> None:
    with alone(begin(tmp_path)):
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
        )
    with child, alone(begin(tmp_path)):
        assert child.poll() is None
        child.communicate(b"\n", timeout=20)


def test_one_that_is_just_ending_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, met, came = fcntl.flock, threading.Event(), threading.Event()

    def seen(descriptor: int, operation: int) -> None:
        try:
            lock(descriptor, operation)
        except BlockingIOError:
            met.set()
            raise

    def begin_next(_: Worker) -> None:
        with alone(begin(tmp_path)):
            came.set()

    monkeypatch.setattr(fcntl, "flock", seen)
    monkeypatch.setattr(spool_claim, "_PATIENCE_S", 30.0)
    with alone(begin(tmp_path)):
        second = Worker("second", begin_next).start()
        assert met.wait(10)
        assert not came.is_set()
    assert came.wait(10)
    assert second.join(10)


def test_a_folder_that_cannot_be_made_or_locked_keeps_nobody_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").touch()
    with alone(begin(tmp_path / "file")) as begun:
        assert begun.folder == tmp_path / "file"
    assert "see that no other module uses it" in caplog.text


def test_others_may_read_the_spool_meanwhile(tmp_path: Path) -> None:
    with alone(begin(tmp_path)):
        first, second = (
            Spool(tmp_path / "spool.db", max_bytes=10**7, max_age_s=60, metrics=Metrics())
            for _ in range(2)
        )
        assert first.backlog() == second.backlog()
        first.close()
        second.close()


def test_a_spool_that_the_twin_has_moved_is_claimed_with_what_stays_behind(tmp_path: Path) -> None:
    moved, home = tmp_path / "moved", tmp_path / "home"
    LastGood(home / NAME).save(at(moved / "spool.db"), 3)
    with alone(begin(home)) as begun:
        assert Path(begun.settings.spool.path).parent == moved
        for taken in (home, moved):
            with pytest.raises(SettingsError, match=str(taken)), alone(begin(taken)):
                pytest.fail("both are in")


def test_a_twin_that_moves_the_spool_to_where_another_works_does_not_end_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taken, home = tmp_path / "taken", tmp_path / "home"
    LastGood(home / NAME).save(at(taken / "spool.db"), 3)
    with alone(begin(taken)), alone(begin(home)) as begun:
        assert Path(begun.settings.spool.path).parent == home
        assert begun.kept is None
    assert "last good settings cannot be used" in caplog.text


def test_one_folder_by_two_names_is_one(tmp_path: Path) -> None:
    home, link = tmp_path / "home", tmp_path / "link"
    LastGood(home / NAME).save(at(link / "spool.db"), 3)
    link.symlink_to(home)
    with alone(begin(home)) as begun:
        assert begun.kept
