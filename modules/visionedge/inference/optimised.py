"""A model as the runtime rewrote it for this processor, kept so that a start need not do it again.

Most of what loading takes is the rewriting: fused operators, folded constants, weights in the
order that the kernels of this processor want. ONNX Runtime can write the result down, and
reads it two to three times as fast, with the same answers to the bit. What it wrote is of
use to this version on this kind of processor only, so it is kept in the cache of the device,
under both, and never shipped.

It is read only if its bytes are those that were written: the original is held to its SHA-256
at each load, and a copy on a worn card must not be worse.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeVar

from visionedge.inference.proof import processor

T = TypeVar("T")
log: Final = logging.getLogger(__name__)
_FOLDER: Final = "optimised-1"
_KEPT: Final = 16
_HASH_SUFFIX: Final = ".sha256"
_UNFIT: Final = "unfit"
_ABANDONED_S: Final = 3600.0


class Optimised:
    """The rewritten copy of one model.

    Args:
        cache: the module's folder for what it found out.
        model_sha256: of the original.
        providers: execution providers, best first.
        rules: by which the model may be rewritten before the runtime does.
    """

    def __init__(
        self,
        cache: Path,
        model_sha256: str,
        providers: tuple[str, ...],
        rules: tuple[str, ...],
    ) -> None:
        parts = (model_sha256, *providers, *rules, version("onnxruntime"), *processor())
        name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self.path: Final = cache / _FOLDER / f"{name}.onnx"

    def sound(self) -> bool:
        """True where it is there, as it was written."""
        try:
            wanted = self._hash_path.read_text(encoding="ascii").strip()
            return _sha256(self.path) == wanted
        except (OSError, UnicodeDecodeError):
            return False

    @property
    def unfit(self) -> bool:
        """True where it was found that a copy of this model cannot stand for it."""
        try:
            return self._hash_path.read_text(encoding="ascii") == _UNFIT
        except (OSError, UnicodeDecodeError):
            return False

    def give_up(self) -> None:
        """Keep no copy of this model, now and at later starts."""
        self.drop()
        self._hash_path.write_text(_UNFIT, encoding="ascii")

    def drop(self) -> None:
        """Forget it."""
        for path in (self._hash_path, self.path):
            path.unlink(missing_ok=True)

    def written(self, write: Callable[[Path], T]) -> T:
        """What `write` returns, given a path to write the copy to.

        Raises:
            OSError: the cache cannot be written; nothing is left of it.
        """
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        _forget_the_abandoned(folder)
        fresh = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            result = write(fresh)
            self._hash_path.unlink(missing_ok=True)
            fresh.replace(self.path)
            self._hash_path.write_text(_sha256(self.path), encoding="ascii")
        finally:
            fresh.unlink(missing_ok=True)
        _forget_the_oldest(folder)
        return result

    @property
    def _hash_path(self) -> Path:
        return self.path.with_suffix(_HASH_SUFFIX)


def _forget_the_abandoned(folder: Path) -> None:
    # Left by a trial that was killed: nobody takes so long to write one.
    since = time.time() - _ABANDONED_S
    for left in folder.glob("*.new"):
        if left.stat().st_mtime < since:
            left.unlink(missing_ok=True)


def _forget_the_oldest(folder: Path) -> None:
    """Copies with their hashes, and marks of models that have no copy, count alike."""
    found = [*folder.glob("*.onnx"), *folder.glob(f"*{_HASH_SUFFIX}")]
    newest_first = sorted(found, key=lambda path: -path.stat().st_mtime)
    for name in list(dict.fromkeys(path.stem for path in newest_first))[_KEPT:]:
        for suffix in (".onnx", _HASH_SUFFIX):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
