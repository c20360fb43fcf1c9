"""The sessions that are open, so that a file is in memory once however many names it has.

Two models of the settings may be one file read with other limits, or by one camera alone and
by another in a cascade. A session holds the weights and its own arena, which is most of what
a model costs, and may be run by any number of threads at once: so it is shared wherever file
and options are the same. Whoever holds a session keeps it; this holds none, so that a model
that nobody uses any more is let go.

The same file is told by its path, links resolved, and its SHA-256: a file that was replaced
where it lay is another. What this does not promise: that copies of a file in two places are
found to be one.
"""

import threading
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from visionedge.inference.onnx_file import read_onnx
from visionedge.inference.optimised import Optimised
from visionedge.inference.proof import rules
from visionedge.inference.session import Session
from visionedge.settings import ModelSettings

_Key = tuple[str, str, tuple[str, ...], int, bool, bool, bool, tuple[tuple[int, int], ...]]


class Sessions:
    """Opens sessions, each file and its options once. Safe for many threads."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._open: Final[WeakValueDictionary[_Key, Session]] = WeakValueDictionary()

    def open(
        self,
        path: Path,
        sha256: str,
        settings: ModelSettings,
        cache: Path | None = None,
        *,
        release_early: bool = False,
    ) -> Session:
        """The session of a file: one that is open already, or a new one.

        Args:
            path: the ONNX file.
            sha256: of it.
            settings: how it is run, and whether rewritten; 0 threads are one.
            cache: where the model as rewritten for this processor is kept; None keeps none.
            release_early: as its card says.

        Raises:
            ModelLoadError: the file is not a model that runs here.
        """
        key = _key(path, sha256, settings, release_early)
        with self._lock:
            session = self._open.get(key)
        if session is None:
            # Not under the lock: a large model takes seconds, and is loaded twice at worst.
            threads = settings.intra_op_threads or 1
            session = Session(
                path,
                settings.providers,
                threads,
                spin=settings.spin,
                optimised=_kept(cache, sha256, settings) if cache else None,
                release_early=release_early,
                rewrite=settings.rewrite,
            )
            with self._lock:
                session = self._open.setdefault(key, session)
        return session


def _key(path: Path, sha256: str, settings: ModelSettings, release_early: bool) -> _Key:
    stats = [beside.stat() for beside in _weights_beside(path)]
    return (
        str(path.resolve()),
        sha256,
        settings.providers,
        settings.intra_op_threads or 1,
        settings.spin,
        settings.rewrite,
        release_early,
        tuple((stat.st_size, stat.st_mtime_ns) for stat in stats),
    )


def _kept(cache: Path, sha256: str, settings: ModelSettings) -> Optimised:
    return Optimised(cache, sha256, settings.providers, rules(settings))


def _weights_beside(path: Path) -> list[Path]:
    """Files that hold weights of the model, as far as they are there."""
    files = [path.parent / name for name in read_onnx(path).external]
    return [file for file in files if file.is_file()]
