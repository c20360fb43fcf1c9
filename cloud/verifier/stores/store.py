"""The one thing that is asked of a store: to change an entry only if nobody else did.

Ledger, budgets, cache and dead letters are all written on these five calls, so each of
their rules exists once, whatever is below. Compare-and-swap is what blob storage (ETags),
SQLite (a version column) and memory have in common, and it needs no leases, no locks across
machines and no clock.

It promises no order and no transaction over two keys. Whoever writes two entries must choose
an order in which a crash between them does no harm; `ledger.py` says which it chose.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol
from urllib.parse import quote


def part(text: str) -> str:
    """A text as one part of a key; `.` and `..` would be stepped over in a blob's address."""
    quoted = quote(text, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


class Stored(NamedTuple):
    """A value, and the token that a change of it must show."""

    value: bytes
    version: str


class Store(Protocol):
    """Keys are paths such as `ledger/line-1/visionedge/01J…`; values are small, or a JPEG.

    Every call raises StoreUnavailable when the store cannot be reached; nothing is known then
    about whether a change was made.
    """

    def read(self, key: str) -> Stored | None:
        """The entry, or None."""

    def create(self, key: str, value: bytes) -> str:
        """Write a new entry and return its version.

        Raises:
            StoreConflict: there is one already.
        """

    def replace(self, key: str, value: bytes, version: str) -> str:
        """Write over the entry that has this version and return the new one.

        Raises:
            StoreConflict: it has another version, or is gone.
        """

    def delete(self, key: str) -> None:
        """Remove the entry; one that is not there is no error."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, in order; changes meanwhile may or may not show."""
