"""What was told to rest: cameras by an operator, escalations by the cloud. It outlives the process.

Whoever pauses a camera wants it to rest until somebody resumes it, and knows nothing of a
restart in between; a camera that came back by itself would be a surprise for the person who
stands before it. So a pause is on the disk, beside the spool. It goes with its camera: one
that is taken away and named again later is not paused.

`escalation.pausedUntil` in the twin is the cloud's word that its budget is spent. A time in
the past means nothing. A time far ahead is obeyed for `escalation.max_pause_s` from when it
was first seen, over restarts too: a slip of the pen, or a clock that has not been set, must
not silence a device for years.

Not promised: that a disk that cannot be written keeps it. The pause then holds until the
process ends, and the log says so.
"""

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.whole_file import replace_file

log: Final = logging.getLogger(__name__)
NAME: Final = "pauses.json"
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rest:
    """Escalations are kept until a time.

    Attributes:
        until: UTC, as it is obeyed.
        asked: UTC, as the cloud said it; later than `until` where that is too far ahead.
    """

    until: datetime
    asked: datetime


class Pauses:
    """What rests. Safe for all threads.

    Args:
        path: the file; None keeps nothing.
    """

    def __init__(self, path: Path | None = None, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        kept = self._load()
        names = kept.get("cameras")
        self._cameras = {str(name) for name in names} if isinstance(names, list) else set()
        self._asked = _time(kept.get("escalations_asked"))
        self._seen = _time(kept.get("escalations_seen"))

    @property
    def cameras(self) -> frozenset[str]:
        """Names of the cameras that rest."""
        with self._lock:
            return frozenset(self._cameras)

    def pause(self, camera_id: str) -> None:
        """Let a camera rest, over restarts."""
        with self._lock:
            if camera_id not in self._cameras:
                self._cameras.add(camera_id)
                self._save()

    def resume(self, cameras: Iterable[str]) -> None:
        """They rest no more."""
        with self._lock:
            if self._cameras & (gone := set(cameras)):
                self._cameras -= gone
                self._save()

    def rest(self, asked: datetime | None, most_s: float) -> Rest | None:
        """Until when escalations are kept, given what the twin says; None where they are sent.

        Args:
            asked: `escalation.pausedUntil`.
            most_s: longest time for which one such word is obeyed.
        """
        now = self._clock.utc()
        with self._lock:
            if asked is None or asked <= now:
                asked, seen = None, None
            else:
                # A clock that was set back makes a time of seeing that is still to come.
                seen = min(self._seen, now) if asked == self._asked and self._seen else now
            if (asked, seen) != (self._asked, self._seen):
                self._asked, self._seen = asked, seen
                self._save()
        if asked is None or seen is None:
            return None
        return Rest(min(asked, seen + timedelta(seconds=most_s)), asked)

    def _load(self) -> Mapping[str, Any]:
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                kept = json.loads(file.read(_MAX_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            log.error("%s cannot be used, nothing is paused: %r", self._path, error)
            return {}
        return kept if isinstance(kept, dict) else {}

    def _save(self) -> None:
        if self._path is None:
            return
        kept = {
            "cameras": sorted(self._cameras),
            "escalations_asked": self._asked.isoformat() if self._asked else None,
            "escalations_seen": self._seen.isoformat() if self._seen else None,
        }
        try:
            replace_file(self._path, json.dumps(kept).encode())
        except OSError as error:
            log.warning("pauses hold until the process ends only: %s", error)


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
