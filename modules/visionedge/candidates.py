"""A bundle on its way, up to where it may be shown frames: fetched, checked, loaded.

What fails here fails for one of three reasons, and each has its own end. The bundle is not good:
refused, for good. It is not good as the twin names it (address, size, signature, or what is asked
of them): refused until the twin says something else of it. It is the moment (no network, no room,
no memory): tried again, later, and no number of such tries speaks against it. A trial that was cut
off may be either: it is tried again too, `MAX_TRIES` times in all.

What this does not promise: that a bundle which may be shown frames is any good on them. That is
what the trial is for: see `deliveries`.
"""

import errno
import hashlib
import json
import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from visionedge.delivery.signature import check_signature
from visionedge.delivery.slots import MAX_TRIES, SlotStore
from visionedge.errors import ModelLoadError, ModelRefused, ModelUnavailable, ModelUntried
from visionedge.inference.model import LoadedModel
from visionedge.inference.proven import load_proven
from visionedge.inference.rivals import Rivals
from visionedge.runtime.backoff import Backoff
from visionedge.runtime.redact import redact
from visionedge.settings import DeliverySettings, ModelSettings, reveal

log: Final = logging.getLogger(__name__)
SHOWN: Final = 16
"""Hex digits of a hash that are reported: enough to tell bundles apart."""
_OF_THE_DEVICE: Final = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
}
"""What no bundle can bring about, and whoever mends the device can end."""
Phase = Literal["waiting", "fetching", "checking", "loaded", "shadow", "canary", "guard"]


@dataclass(slots=True)
class Job:
    """One bundle on its way."""

    name: str
    settings: ModelSettings
    rules: DeliverySettings
    phase: Phase = "waiting"
    reason: str = ""
    due_s: float = 0.0
    told: type[Exception] | None = None
    """Kind of the last failure that the log has named."""
    cut_off: int = 0
    """Trials that were."""
    backoff: Backoff = field(default_factory=lambda: Backoff(5.0, 300.0))
    cancelled: threading.Event = field(default_factory=threading.Event)
    candidate: LoadedModel | None = None
    rivals: Rivals | None = None
    former_path: Path | None = None
    noted_s: float = 0.0
    """For how long the canary has been held, as it is on the disk."""

    @property
    def sha256(self) -> str:
        """Of the bundle, in hex."""
        return self.settings.sha256

    @property
    def title(self) -> str:
        """Name and version of the bundle, as far as they are known, and its hash."""
        card = self.candidate.card if self.candidate else None
        named = f"{card.name} {card.version} ".lstrip() if card else ""
        return f"{named}({self.sha256[:SHOWN]})"

    @property
    def as_named(self) -> str:
        """As `named`, of this bundle."""
        return named(self.settings, self.rules)


def named(settings: ModelSettings, rules: DeliverySettings) -> str:
    """A mark of how a bundle is named, and what is asked of its name; tells nothing of either."""
    told = (settings.uri, settings.size_bytes, settings.signature)
    asked = (rules.max_bytes, rules.signatures, rules.keys_path)
    return hashlib.sha256(json.dumps([*told, *asked]).encode()).hexdigest()[:16]


def load_candidate(job: Job, store: SlotStore, cache: Path) -> LoadedModel:
    """Fetch a bundle, where it is not here yet, and load it.

    Raises:
        ModelUnavailable, SettingsError, OSError: not now.
        ModelRefused: not as it is named.
        ModelError: it is not good, unless `is_for_now` says otherwise.
    """
    settings, rules = job.settings, job.rules
    # Before all else: whoever made the job may not have been able to read it.
    slots = store.known(job.name)
    if reason := slots.refused.get(job.sha256):
        mark = slots.refused_as.get(job.sha256)
        if mark in (None, job.as_named):
            raise (ModelRefused if mark else ModelLoadError)(reason)
        store.allow(job.name, job.sha256)
    check_signature(settings.sha256, settings.signature, rules.signatures, Path(rules.keys_path))
    path = store.path_of(job.name, settings.sha256)
    if not store.has_whole(job.name, settings.sha256):
        job.phase, job.reason = "fetching", ""
        # What nobody wants any more must not take the room of what somebody does.
        store.forget_others(job.name, settings.sha256)
        # Brings HTTP and TLS.
        from visionedge.delivery.download import Wanted, fetch

        wanted = Wanted(
            reveal(settings.uri),
            settings.sha256,
            settings.size_bytes,
            rules.max_bytes,
            rules.timeout_s,
        )
        fetch(wanted, path, job.cancelled)
    job.phase, job.reason = "checking", ""
    if not store.begin(job.name, settings.sha256):
        raise ModelLoadError(store.slots(job.name).refused[settings.sha256])
    try:
        return load_proven(path, settings, cache)
    except ModelUntried as error:
        job.cut_off += 1
        if job.cut_off >= MAX_TRIES:
            raise
        raise ModelUnavailable(Exception.__str__(error), hint=error.hint) from error


def is_for_now(error: BaseException | None) -> bool:
    """True where the device's state is behind an error: the next try may well succeed."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_THE_DEVICE:
            return True
        error = error.__cause__ or error.__context__
    return False


def try_later(job: Job, error: Exception) -> None:
    """Put a job back into the queue, with why; the log is told once a kind of failure."""
    pause_s = job.backoff.next_s()
    job.due_s = time.monotonic() + pause_s
    level = logging.DEBUG if job.told is type(error) or job.cancelled.is_set() else logging.WARNING
    job.phase, job.reason, job.told = "waiting", redact(str(error)), type(error)
    log.log(level, "model %s: again in %.0f s: %s", job.name, pause_s, job.reason)
