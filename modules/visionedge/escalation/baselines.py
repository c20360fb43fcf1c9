"""Learned baselines of drift, kept over restarts in one small file beside the spool.

Without it, each restart would learn anew what "usual" is, and a line that has drifted would be
the usual one from then on. A file that cannot be read or written costs the memory and nothing
else: it is logged, and learned again.
"""

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.escalation.drift import BINS, Baseline
from visionedge.runtime.whole_file import replace_file

log: Final = logging.getLogger(__name__)
NAME: Final = "drift.json"
_MOST: Final = 256


class Baselines:
    """Baselines by key. Safe for all threads.

    Args:
        path: the file; None keeps them in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept = _read(path) if path else {}

    def get(self, key: str) -> Baseline | None:
        """The one of a key, or None."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, learned: Mapping[str, Baseline]) -> None:
        """Remember what was learned; writes only what is new."""
        with self._lock:
            if all(self._kept.get(key) == each for key, each in learned.items()):
                return
            self._kept |= learned
            while len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
            if self._path is not None:
                _write(self._path, self._kept)


def _write(path: Path, kept: Mapping[str, Baseline]) -> None:
    document = {
        key: {"frames": b.frames, "classes": dict(b.classes), "confidence": list(b.confidence)}
        for key, b in kept.items()
    }
    try:
        replace_file(path, json.dumps(document).encode())
    except OSError as error:
        log.warning("the baselines of drift cannot be kept: %s", error)


def _read(path: Path) -> dict[str, Baseline]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {key: _baseline(each) for key, each in document.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("%s is not used, drift is learned anew: %r", path, error)
        return {}


def _baseline(document: Mapping[str, Any]) -> Baseline:
    confidence = tuple(int(count) for count in document["confidence"])
    if len(confidence) != BINS:
        raise ValueError(f"{len(confidence)} bins")
    classes = {str(name): int(count) for name, count in document["classes"].items()}
    return Baseline(int(document["frames"]), classes, confidence)
