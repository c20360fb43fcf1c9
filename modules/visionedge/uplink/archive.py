"""The archive: settled escalations that stay on the device, to train the next model from.

Off by default: a device keeps no pictures longer than it must unless somebody wants them. What is
kept has left the device already, so it is redacted as that was, and shows nothing new.

The sample is written before its escalation is settled: a crash in between keeps one that is asked
about once more, and the second time writes the same one again. A disk that refuses it is logged
and costs the sample only; the verdict counts all the same.

Bounded by bytes and age. The bound is looked at after each twentieth of it was written, so it may
be exceeded by that much.
"""

import base64
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from visionedge.datasets.collection import Collection, picture_key
from visionedge.datasets.sample import sample_of
from visionedge.datasets.shelf import FolderShelf
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.settings.archive import ArchiveSettings
from visionedge.wire import Escalation, Verdict

log: Final = logging.getLogger(__name__)
_LOOK_AFTER: Final = 20


class Archive:
    """Keeps samples. For the control thread.

    Args:
        settings: those in use, asked each time: a twin may turn it on and off.
        clock: says when a sample was kept.
    """

    def __init__(self, settings: Callable[[], ArchiveSettings], clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        # As if much were written: what lies there from before is looked at first.
        self._unlooked_bytes: float = float("inf")

    @property
    def is_wanted(self) -> bool:
        """True where samples are kept now."""
        return self._settings().enabled

    def keep(self, body: bytes, verdict: Verdict, outcome: str) -> None:
        """Keep an escalation with its verdict.

        Args:
            body: the escalation as it was sent.
            verdict: as it came.
            outcome: what the module made of it.
        """
        settings = self._settings()
        now = self._clock.utc()
        try:
            escalation = Escalation.read(json.loads(body))
        except ValueError as error:
            # Written by another release, perhaps; its verdict counts all the same.
            log.error("escalation %s is not in the archive: %s", verdict.escalation_id, error)
            return
        picture = picture_key(escalation.id, now)
        sample = sample_of(escalation, verdict, kept_at=now, picture=picture, outcome=outcome)
        jpeg = base64.b64decode(escalation.image.data)
        try:
            Collection(FolderShelf(Path(settings.path))).keep(sample, jpeg)
            self._unlooked_bytes += len(jpeg)
            if self._unlooked_bytes >= settings.max_bytes // _LOOK_AFTER:
                self._unlooked_bytes = 0
                self._bound(settings)
        except OSError as error:
            # By the archive, so that all who are refused by it are one line of the log.
            lost = (settings.path, error, escalation.id)
            log.error("archive %s cannot be written: %s; escalation %s is not in it", *lost)

    def _bound(self, settings: ArchiveSettings) -> None:
        folder = Path(settings.path)
        oldest = self._clock.utc() - timedelta(seconds=settings.max_age_s)
        shelf = FolderShelf(folder)
        Collection(shelf).forget_before(oldest.date())
        files = [path for path in folder.rglob("*") if path.is_file()]
        sizes = {path: path.stat().st_size for path in files}
        excess_bytes = sum(sizes.values()) - settings.max_bytes
        pictures = sorted(
            (path.stat().st_mtime_ns, path) for path in files if path.suffix == ".jpg"
        )
        for _, path in pictures:
            if excess_bytes <= 0:
                return
            shelf.delete(path.relative_to(folder).as_posix())
            excess_bytes -= sizes[path]
            if not any(path.parent.glob("*.jpg")):
                index = path.parent / "index.jsonl"
                excess_bytes -= sizes.get(index, 0)
                shelf.delete(index.relative_to(folder).as_posix())
