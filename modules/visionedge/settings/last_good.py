"""The last desired document that was good, on disk: for a start while the hub is away.

A module that starts without its hub would run on its defaults: the wrong cameras, the wrong
thresholds. So each desired document that was taken is kept, with its version, beside the
spool, and laid over the other sources at the next start. It also keeps a document that is
refused after a restart from undoing the good one before it.

Written whole or not at all: a new file, synced, put in the place of the old one, and the
folder synced. Only the module's own user may read it. Secrets are in it only if somebody
put them into the twin, instead of a reference to them (`secrets`).

Not promised: that it is there. A disk that cannot be written costs this comfort and nothing
else; the log says so, and it is written as soon as there is room (`save_late`).
"""

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any, Final

from visionedge.settings.sources import Document

log: Final = logging.getLogger(__name__)
NAME: Final = "desired.last-good.json"
_MAX_BYTES: Final = 1024**2
Kept = tuple[Document, int | None]
"""Desired properties and their version."""


class LastGood:
    """One file. For one thread at a time.

    Args:
        path: made with its folder when first written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unwritten: Kept | None = None

    def load(self) -> Kept | None:
        """Document and version, or None where there is none that can be read."""
        try:
            with self._path.open("rb") as file:
                kept = json.loads(file.read(_MAX_BYTES))
            document, version = kept["desired"], kept["version"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.error("%s cannot be used, the defaults are: %r", self._path, error)
            return None
        if not isinstance(document, dict) or not isinstance(version, int | None):
            log.error("%s holds no desired properties, the defaults are used", self._path)
            return None
        return document, version

    def save(self, document: Document, version: int | None) -> None:
        """Keep a document that is in use."""
        kept: dict[str, Any] = {"version": version, "desired": document}
        self._unwritten = None
        try:
            self._write(json.dumps(kept).encode())
        except OSError as error:
            log.warning("the settings in use cannot be kept for the next start yet: %s", error)
            self._unwritten = (document, version)
        except (ValueError, RecursionError) as error:
            log.warning("the settings in use cannot be kept for the next start: %s", error)

    def save_late(self) -> None:
        """Keep what the disk has refused, if it takes it now; call it now and then."""
        if self._unwritten is None:
            return
        document, version = self._unwritten
        with contextlib.suppress(OSError):
            self._write(json.dumps({"version": version, "desired": document}).encode())
            self._unwritten = None

    def _write(self, text: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
