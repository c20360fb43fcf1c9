"""An escalation in this worker's hands, and what is paid for it.

Before each call that may be charged, the claim is written again: with the call counted, and with
the lease begun anew. Where another worker has taken the escalation over meanwhile, that write
fails and nothing is paid. A picture that a Vision API cannot answer, while it answers all others,
so ends after `MAX_TRIES` charged calls, over all workers and restarts.

A call by which an outage is seen to go on says nothing about its picture. It is paid for by the
hub and not by the device, and has a limit of its own, which an outage of an hour stays below.
"""

from dataclasses import dataclass, replace
from typing import Final

from verifier.asking import Purse
from verifier.budget import Budget
from verifier.errors import StoreError
from verifier.ledger import Held, Ledger

MAX_TRIES: Final = 5
"""Charged calls without an answer before an escalation is given up."""


MAX_PROBES: Final = 16
"""Of those that found a service away: at the breaker's pace that takes more than an hour, with the
one that made it plain."""


class OutOfTries(Exception):  # noqa: N818 - it is no error, it is an answer
    """So many charged calls about one escalation came to nothing."""


@dataclass(slots=True)
class Claim:
    """Ours, for one handling of one message; for one thread.

    Attributes:
        held: The entry as we wrote it last.
        until_s: Monotonic time for the last answer, before the lease that it began with ends.
    """

    held: Held
    ledger: Ledger
    budget: Budget
    until_s: float

    @property
    def is_spent(self) -> bool:
        """True if no further call is worth its price."""
        entry = self.held.entry
        return entry.tries >= MAX_TRIES or entry.probes >= MAX_PROBES

    def purse(self) -> Purse:
        """Pays for the calls about it."""
        return Purse(self._take, self._give_back, self._forgive)

    def _take(self, units: int) -> str:
        if self.is_spent:
            raise OutOfTries
        device = self.held.entry.device_id
        if day := self.budget.take(device, units):
            try:
                self.held = self.ledger.charge(self.held)
            except StoreError:
                # It is not called now; a unit may be lost with a store that is away.
                self.budget.give_back(day, device, units)
                raise
        return day

    def _give_back(self, day: str, units: int) -> None:
        self._uncount(probes=0)
        self.budget.give_back(day, self.held.entry.device_id, units)

    def _forgive(self, day: str, units: int) -> None:
        self._uncount(probes=1)
        self.budget.forgive(day, self.held.entry.device_id, units)

    def _uncount(self, probes: int) -> None:
        """Written with the next change; a crash before it counts the call."""
        entry = self.held.entry
        counts = {"tries": max(0, entry.tries - 1), "probes": entry.probes + probes}
        self.held = replace(self.held, entry=entry.model_copy(update=counts))
