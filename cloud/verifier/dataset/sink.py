"""The sink: each verified escalation becomes a sample, as far as there is room for its classes.

A line shows a thousand good boards for each bad one, and doubt does not spread evenly over classes
either. So a day has room for a number of samples of each class (the classes are those of the
verdict and of the module's own word), and a sample is kept while one of its classes has room: the
rare ones get in when the common ones are full. The counts lie in the ledger's store, shared by all
workers.

A shelf or store that is away costs the sample, and is logged: nobody waits for it, and the verdict
is on its way already. So this is no record of what was verified; the ledger is.
"""

import hashlib
import logging
import threading
from collections.abc import Collection as Several
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from verifier.admit import Admitted
from verifier.budget import Budget
from verifier.clock import Clock
from verifier.errors import StoreError
from verifier.labels import plain
from visionedge.datasets.collection import Collection, day_of
from visionedge.datasets.sample import sample_of
from visionedge.wire import PredictionBody, Verdict

log: Final = logging.getLogger(__name__)
NOTHING: Final = "(nothing)"
"""The class of a scene in which nobody saw anything."""


@dataclass(slots=True, eq=False)
class Sink:
    """Keeps samples. Safe for many threads.

    Args:
        collection: where they go.
        room: what a day may hold of each class, in the place of a budget's devices.
        clock: says which day it is.
        keep_days: older ones are forgotten.
        agreements: only verdicts of these words; empty for all.
    """

    collection: Collection
    room: Budget
    clock: Clock
    keep_days: int
    agreements: Several[str] = ()
    _forgot_on: date | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, admitted: Admitted, verdict: Verdict) -> None:
        """Keep a verified escalation, if its verdict says anything and there is room."""
        if verdict.status != "verified":
            return
        if self.agreements and verdict.agreement not in self.agreements:
            return
        try:
            classes = classes_of(admitted.escalation.prediction, verdict)
            taken = [self.room.take(name) for name in sorted(classes)]
            if any(taken):
                self._keep(admitted, verdict)
        except (OSError, StoreError) as error:
            log.error("escalation %s is no sample: %s", admitted.escalation.id, error)

    def forget(self) -> None:
        """Forget what is too old; does something once a day, whenever it is called."""
        today = self.clock.utc().date()
        with self._lock:
            if self._forgot_on == today:
                return
            self._forgot_on = today
        try:
            gone = self.collection.forget_before(today - timedelta(days=self.keep_days))
        except OSError as error:
            log.error("old samples are not forgotten: %s", error)
        else:
            log.info("%d samples older than %d days are forgotten", gone, self.keep_days)

    def _keep(self, admitted: Admitted, verdict: Verdict) -> None:
        now, case = self.clock.utc(), admitted.case
        # The path names device and module, so that no two of them meet in one picture.
        name = hashlib.sha256(case.path.encode()).hexdigest()[:32]
        sample = sample_of(
            admitted.escalation,
            verdict,
            kept_at=now,
            picture=f"{day_of(now)}/{name}.jpg",
            device=case.device_id,
            module=case.module_id,
        )
        self.collection.keep(sample, admitted.picture.jpeg)


def classes_of(local: PredictionBody, verdict: Verdict) -> set[str]:
    """The names in a verdict and in the module's own word, spelling aside.

    Of a classification the best of each: the runners-up are always there.
    """
    found: set[str] = set()
    for told in (local, verdict):
        found |= {plain(each.label) for each in told.detections}
        if told.classes:
            found.add(plain(max(told.classes, key=lambda each: each.confidence).label))
    return found or {NOTHING}
