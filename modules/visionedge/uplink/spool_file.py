"""The spool's file: how it is opened, used by many threads, and set aside when damaged.

SQLite in WAL mode with `synchronous=FULL`: a commit returns when the disk has it, so what
was put survives `kill -9` and a power cut, as far as the disk keeps its word about fsync.
That costs one fsync a commit, a few milliseconds on flash, on threads that no frame waits
for. `NORMAL` would save that and lose the last seconds at a power cut: the very frames that
tell what happened before it (https://www.sqlite.org/pragma.html#pragma_synchronous).

One connection under one lock. It is opened when first needed and again after any failure,
so a disk that was full or read-only at the start needs no restart once it is mended.

A damaged file is renamed, never deleted, and a new one is begun; only the newest damaged
file is kept, so that a failing disk is not filled up. The file does not shrink: pages that
are free are used again.
"""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from visionedge.errors import SpoolCorrupt, SpoolUnavailable
from visionedge.runtime.clock import Clock
from visionedge.uplink.spool_schema import ADDITIONS, APPLICATION_ID, SCHEMA, SCHEMA_VERSION
from visionedge.uplink.spool_time import SpoolTime

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
log: Final = logging.getLogger(__name__)

_BUSY: Final = timedelta(seconds=5)
"""How long to wait for another process, such as a shell that looks into the file."""
_LOCK_TIMEOUT_S: Final = 10.0
_DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HARMLESS: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""After these the connection is as good as before; a full disk could not open a new one."""


class SpoolFile:
    """Runs units of work on the database, each whole or not at all. Safe for all threads.

    Args:
        path: the file; its folder is made if need be.
        clock: where lived time comes from.
        on_corrupt: told after a damaged file was set aside.
    """

    def __init__(
        self, path: Path, clock: Clock, on_corrupt: Callable[[SpoolCorrupt], None]
    ) -> None:
        self.path = path
        self.time = SpoolTime(clock)
        self._clock = clock
        self._on_corrupt = on_corrupt
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._resumed = False
        self._identity: tuple[int, int] | None = None
        self.fault = ""
        """Why the disk refused what was to be written last; empty where it took it."""

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction; when this returns, the disk has it.

        Raises:
            SpoolUnavailable: nothing was changed; try again later.
        """

        def stamped(db: sqlite3.Connection) -> T:
            result = work(db)
            db.execute(
                "UPDATE life SET lived_s = ?, wall_s = ?", (self.time.now_s(), self.time.wall_s())
            )
            return result

        try:
            result = self._run("BEGIN IMMEDIATE", stamped)
        except SpoolUnavailable as error:
            self.fault = str(error)
            raise
        self.fault = ""
        return result

    def read(self, work: Work[T]) -> T:
        """Run `work`, which only looks, on one state of the file.

        Raises:
            SpoolUnavailable: try again later.
        """
        return self._run("BEGIN", work)

    def close(self) -> None:
        """Let the file go. It opens again if it is used again."""
        if self._lock.acquire(timeout=_LOCK_TIMEOUT_S):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _run(self, begin: str, work: Work[T]) -> T:
        if not self._lock.acquire(timeout=_LOCK_TIMEOUT_S):
            raise SpoolUnavailable(
                f"{self.path} did not answer for {_LOCK_TIMEOUT_S:g} s", hint="check the disk"
            )
        corrupt = self._taken_away()
        try:
            try:
                return self._attempt(begin, work)
            except sqlite3.DatabaseError as error:
                if _code(error) not in _DAMAGE:
                    raise
                corrupt = self._set_aside(error)
                return self._attempt(begin, work)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error
        finally:
            self._lock.release()
            if corrupt is not None:
                # Outside the lock: whoever is told may want to put a message about it.
                self._on_corrupt(corrupt)

    def _attempt(self, begin: str, work: Work[T]) -> T:
        db = self._db or self._open()
        try:
            db.execute(begin)
            result = work(db)
            db.execute("COMMIT")
        except BaseException:
            # Where the disk itself fails, the rollback fails too, and the next opening does it.
            with contextlib.suppress(sqlite3.Error):
                db.rollback()
            raise
        return result

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            self.path, timeout=_BUSY.total_seconds(), isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(db)
            lived_s, wall_s = db.execute("SELECT lived_s, wall_s FROM life").fetchone()
        except BaseException:
            db.close()
            raise
        if not self._resumed:
            # Only once a process: from then on the monotonic clock knows better.
            self.time.resume(lived_s, wall_s)
            self._resumed = True
        self._db, self._identity = db, _identity(self.path)
        return db

    def _taken_away(self) -> SpoolCorrupt | None:
        """What is put into a file that has lost its name would go with the process."""
        if self._db is None:
            return None
        try:
            if _identity(self.path) == self._identity:
                return None
        except OSError:
            # Nobody can say, as where a share is away for a moment.
            return None
        self._drop()
        gone = SpoolCorrupt(
            f"{self.path} was taken away while it was in use; begun anew",
            hint="see who cleans up or mounts its folder",
        )
        log.error("%s", gone)
        return gone

    def _prepare(self, db: sqlite3.Connection) -> None:
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        if tables and owner != APPLICATION_ID:
            raise SpoolUnavailable(
                f"{self.path} is the database of another program",
                hint="set spool.path to a file of its own",
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        if not tables:
            db.executescript(SCHEMA.format(lived_s=self.time.now_s(), wall_s=self.time.wall_s()))
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise _damage(f"layout {version} is not {SCHEMA_VERSION}")
        for addition in ADDITIONS:
            db.execute(addition)

    def _set_aside(self, error: sqlite3.DatabaseError) -> SpoolCorrupt:
        self._drop()
        for old in self.path.parent.glob(f"{self.path.name}.corrupt-*"):
            old.unlink()
        aside = self.path.with_name(f"{self.path.name}.corrupt-{self._clock.utc():%Y%m%dT%H%M%SZ}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(f"{aside}{suffix}")
        corrupt = SpoolCorrupt(
            f"{self.path} is damaged ({error}); set aside as {aside.name} and begun anew",
            hint="check the disk; the file can be read with `sqlite3 FILE .recover`",
        )
        log.error("%s", corrupt)
        return corrupt

    def _unavailable(self, error: Exception) -> SpoolUnavailable:
        if _code(error) not in _HARMLESS:
            self._drop()
        return SpoolUnavailable(
            f"{self.path}: {error}", hint="check free space and that the folder can be written to"
        )

    def _drop(self) -> None:
        if self._db is not None:
            # Closing writes a checkpoint, which a bad disk refuses; the file stays valid.
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None


def _code(error: Exception) -> int | None:
    """SQLite's primary result code."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _identity(path: Path) -> tuple[int, int] | None:
    """Of the file that has the name; None where none has it."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _damage(reason: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
