"""A store in one file, for one machine: several processes may share it.

Each call is its own transaction and its own connection is kept a thread, because sqlite3
connections are not for sharing. WAL with `synchronous=FULL`: an entry that was returned from
survives a loss of power, which the ledger's promise of one paid call rests on.

Not for a network share: SQLite's locks do not hold there. Use the blob store for two machines.
"""

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from verifier.errors import StoreConflict, StoreDamaged, StoreUnavailable
from verifier.stores.store import Stored

_BUSY_S: Final = 10.0
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, version TEXT NOT NULL
) WITHOUT ROWID
"""


class SqliteStore:
    """Safe for many threads and processes of one machine.

    Args:
        path: The file; made if absent, its folder must exist.

    Raises:
        StoreDamaged: It is no database, or not any more.
        StoreUnavailable: It cannot be opened now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[sqlite3.Connection] = []
        with self._connection() as connection:
            connection.execute(_SCHEMA)

    def read(self, key: str) -> Stored | None:
        """The entry, or None."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT value, version FROM entries WHERE key = ?", (key,)
            ).fetchone()
        return Stored(bytes(row[0]), str(row[1])) if row else None

    def create(self, key: str, value: bytes) -> str:
        """Write a new entry and return its version."""
        version = uuid.uuid4().hex
        with self._connection() as connection:
            try:
                connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (key, value, version))
            except sqlite3.IntegrityError:
                raise StoreConflict(f"{key} exists already") from None
        return version

    def replace(self, key: str, value: bytes, version: str) -> str:
        """Write over the entry that has this version and return the new one."""
        written = uuid.uuid4().hex
        with self._connection() as connection:
            changed = connection.execute(
                "UPDATE entries SET value = ?, version = ? WHERE key = ? AND version = ?",
                (value, written, key, version),
            ).rowcount
        if not changed:
            raise StoreConflict(f"{key} was changed by somebody else")
        return written

    def delete(self, key: str) -> None:
        """Remove the entry; one that is not there is no error."""
        with self._connection() as connection:
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, in order."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT key FROM entries WHERE substr(key, 1, ?) = ? ORDER BY key",
                (len(prefix), prefix),
            ).fetchall()
        yield from (row[0] for row in rows)

    def check(self) -> None:
        """Look through the whole file.

        Raises:
            StoreDamaged: it is not whole.
        """
        with self._connection() as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreDamaged(f"{self._path.name}: {found}")

    def close(self) -> None:
        """Close the connections of all threads; the store is not used after."""
        with self._lock:
            while self._open:
                self._open.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._mine()
        except sqlite3.DatabaseError as error:
            # The extended codes of SQLite hold the primary one in their lowest byte.
            is_damage = (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE
            kind = StoreDamaged if is_damage else StoreUnavailable
            raise kind(f"{self._path.name}: {error}") from error

    def _mine(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
            except BaseException:
                connection.close()
                raise
            self._local.connection = connection
            with self._lock:
                self._open.append(connection)
        return connection
