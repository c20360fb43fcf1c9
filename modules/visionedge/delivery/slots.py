"""Which delivered bundles are on disk, and which of them is in use: true after any power cut.

    FOLDER/<name>/slots.json            what is active, what was before, what is refused
    FOLDER/<name>/<sha256>/bundle       the file as it was fetched

A bundle is named by its hash, so a folder is never changed once it is there. `slots.json`
is the only thing that decides, and it is replaced whole: before a change it says the old,
after it the new, and never anything else. A bundle becomes `active` only when it has passed
everything, the guard window included; if the device loses its power before that, the next
start uses what was active, and tries the new one again.

A bundle whose trials end with the process (a crash in native code) is refused after
`MAX_TRIES` of them. Kept are the active one and the one before; the rest goes.

A full disk must not undo a roll-back: what was refused or allowed holds from then on, and is
written as soon as there is room (`write_late`). Not promised: that it outlives a process which
ends before. The bundle is tried once more then, and by the same rules. What makes a bundle active
or counts its trials is written first, or does not happen.

Nothing is changed, and no folder deleted, by a state that could not be read: a disk that fails for
a moment would cost the proven bundles. What this process read or wrote last stands in for it. A
damaged file is set aside, and the folders that it may have named stay until a bundle is active.
"""

import errno
import hashlib
import json
import logging
import shutil
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from visionedge.runtime.whole_file import replace_file

log: Final = logging.getLogger(__name__)
MAX_TRIES: Final = 3
_NAME: Final = "slots.json"
_ASIDE: Final = "slots.json.damaged"
_MAX_REFUSED: Final = 8
_OF_THE_PROCESS: Final = (
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slots:
    """Of one model, each a SHA-256 in hex; empty where there is none."""

    active: str = ""
    previous: str = ""
    tried: str = ""
    """Whose trial has begun and not ended."""
    tries: int = 0
    canary: str = ""
    """Which has begun to answer a share of the frames."""
    canary_s: float = 0.0
    """For how long it has done so."""
    refused: dict[str, str] = field(default_factory=dict)
    """Bundles that will not be tried again, and why; the newest last."""
    refused_as: dict[str, str] = field(default_factory=dict)
    """Of those that might be good, named otherwise: a mark of how they were named."""


_EMPTY: Final = asdict(Slots())


def _slots(kept: dict[str, Any]) -> Slots:
    """Those of a file; a later release may have written more, and meant the same by the rest."""
    known = {name: kept[name] for name in _EMPTY.keys() & kept.keys()}
    for name, value in known.items():
        wanted = type(_EMPTY[name])
        # JSON writes a whole number as one.
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise TypeError(f"{name} is {value!r}")
    return Slots(**known)


class SlotStore:
    """The slots of all models. Safe for all threads but the frame's.

    Args:
        folder: made when the first bundle comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Reentrant: each change reads what it changes.
        self._lock = threading.RLock()
        self._unwritten: dict[str, Slots] = {}
        self._last: dict[str, Slots] = {}
        """As last read or written: nobody else writes them."""
        self._unread: set[str] = set()

    def slots(self, name: str) -> Slots:
        """What is known of a model, to look at; nothing where it cannot be read now."""
        try:
            return self.known(name)
        except OSError as error:
            log.error("the slots of model %s cannot be read now: %s", name, error)
            self._unread.add(name)
            return Slots()

    def was_unread(self, name: str) -> bool:
        """True once, where `slots` told nothing of a model because it could not be read."""
        if name not in self._unread:
            return False
        self._unread.remove(name)
        return True

    def known(self, name: str) -> Slots:
        """What is known of a model, to act by.

        Raises:
            OSError: it cannot be read now.
        """
        with self._lock:
            return self._unwritten.get(name) or self._read(name)

    def _read(self, name: str) -> Slots:
        path = self.folder / name / _NAME
        try:
            slots = _slots(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            slots = Slots()
        except OSError:
            if name not in self._last:
                raise
            return self._last[name]
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            try:
                path.replace(path.with_name(_ASIDE))
            except OSError as refused:
                log.error("%s is damaged (%r), and cannot be set aside: %s", path, error, refused)
                if name not in self._last:
                    raise
                return self._last[name]
            log.error("%s is damaged (%r): set aside as %s, begun anew", path, error, _ASIDE)
            slots = self._last.get(name, Slots())
            self._write_or_keep(name, slots)
        self._last[name] = slots
        return slots

    def path_of(self, name: str, sha256: str) -> Path:
        """Where a bundle lies, or would."""
        return self.folder / name / sha256 / "bundle"

    def has(self, name: str, sha256: str) -> bool:
        """True where it lies there."""
        return bool(sha256) and self.path_of(name, sha256).is_file()

    def has_whole(self, name: str, sha256: str) -> bool:
        """True where it lies there as it was fetched; a disk may have damaged it since.

        Raises:
            OSError: this process cannot look at it now, which says nothing of the file.
        """
        try:
            with self.path_of(name, sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError as error:
            if error.errno in _OF_THE_PROCESS:
                raise
            return False

    def begin(self, name: str, sha256: str) -> bool:
        """A trial begins; False where so many have ended with the process that it must not.

        Raises:
            OSError: it cannot be counted, so it must not begin now.
        """
        with self._lock:
            slots = self.known(name)
            tries = slots.tries + 1 if slots.tried == sha256 else 1
            if tries > MAX_TRIES:
                reason = f"the module ended {MAX_TRIES} times while it was tried"
                self.refuse(name, sha256, reason)
                return False
            self._write(name, replace(slots, tried=sha256, tries=tries))
        return True

    def end(self, name: str) -> None:
        """The trial ended without a result, in good order: it does not count."""
        with self._lock:
            try:
                slots = self.known(name)
            except OSError:
                # Then it has not begun either: what cannot be read cannot be counted.
                return
            self._write_or_keep(name, replace(slots, tried="", tries=0))

    def hold(self, name: str, sha256: str, held_s: float) -> None:
        """It has answered its share for so long; one that gets on does not end the process.

        Raises:
            OSError: it is not written down.
        """
        with self._lock:
            slots = self.known(name)
            tries = min(1, slots.tries)
            self._write(name, replace(slots, canary=sha256, canary_s=held_s, tries=tries))

    def held_s(self, name: str, sha256: str) -> float | None:
        """For how long it has answered its share; None where it has not begun to."""
        slots = self.slots(name)
        return slots.canary_s if sha256 and slots.canary == sha256 else None

    def commit(self, name: str, sha256: str) -> None:
        """It has passed everything: it is active from now on, and so at the next start.

        Raises:
            OSError: it is not; the one before stays.
        """
        with self._lock:
            slots = self.known(name)
            previous = slots.active if slots.active != sha256 else slots.previous
            refused, refused_as = slots.refused, slots.refused_as
            self._write(name, Slots(sha256, previous, refused=refused, refused_as=refused_as))
            self._forget(name, sha256, {sha256, previous})

    def refuse(self, name: str, sha256: str, reason: str, named: str = "") -> None:
        """It is not to be tried again, and not to be used.

        Args:
            name: of the model.
            sha256: of the bundle.
            reason: for people.
            named: how it was named, where that is what is wrong with it.

        Raises:
            OSError: what is known of the model cannot be read now, and was not before.
        """
        with self._lock:
            slots = self.known(name)
            refused = {sha: why for sha, why in slots.refused.items() if sha != sha256}
            refused[sha256] = reason
            newest = dict(list(refused.items())[-_MAX_REFUSED:])
            marks = slots.refused_as | {sha256: named}
            refused_as = {sha: mark for sha, mark in marks.items() if mark and sha in newest}
            active, previous = slots.active, slots.previous
            if active == sha256:
                active, previous = previous, ""
            kept = Slots(active, previous, refused=newest, refused_as=refused_as)
            self._write_or_keep(name, kept)
            self._forget(name, active, {active, previous})

    def allow(self, name: str, sha256: str) -> None:
        """Somebody wants it tried again."""
        with self._lock:
            slots = self.known(name)
            refused = {sha: why for sha, why in slots.refused.items() if sha != sha256}
            marks = {sha: mark for sha, mark in slots.refused_as.items() if sha != sha256}
            allowed = replace(slots, refused=refused, refused_as=marks, tried="", tries=0)
            self._write_or_keep(name, allowed)

    def lose(self, name: str, sha256: str) -> None:
        """The active one cannot be used; the one before is active again. Its file stays."""
        with self._lock:
            slots = self.known(name)
            if slots.active == sha256:
                self._write_or_keep(name, replace(slots, active=slots.previous, previous=""))

    def forget_others(self, name: str, sha256: str) -> None:
        """Delete what was fetched of bundles that are neither active, nor before it, nor this.

        Raises:
            OSError: nobody can say now which those are.
        """
        with self._lock:
            slots = self.known(name)
            self._forget(name, slots.active, {slots.active, slots.previous, sha256})

    def write_late(self) -> None:
        """Write what the disk has refused, if it takes it now; call it now and then."""
        with self._lock:
            for name, slots in list(self._unwritten.items()):
                try:
                    self._write(name, slots)
                except OSError:
                    return
                log.info("the slots of model %s are written", name)

    def _forget(self, name: str, active: str, kept: set[str]) -> None:
        folder = self.folder / name
        if not active and (folder / _ASIDE).exists():
            # The proven ones may be among them, and nobody can tell which.
            return
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def _write_or_keep(self, name: str, slots: Slots) -> None:
        try:
            self._write(name, slots)
        except OSError as error:
            if name not in self._unwritten:
                log.error("the slots of model %s are kept in memory, not on disk: %s", name, error)
            self._unwritten[name] = self._last[name] = slots

    def _write(self, name: str, slots: Slots) -> None:
        path = self.folder / name / _NAME
        replace_file(path, json.dumps(asdict(slots)).encode())
        self._unwritten.pop(name, None)
        self._last[name] = slots
