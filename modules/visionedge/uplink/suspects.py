"""Which message is poison: it fails while others of its kind get through.

A hub that dislikes a message does not always say so. It may close the link, and then the
message looks like any victim of a bad link and would be sent, and close the link, for ever.
What tells them apart is the company: a bad link stops all messages of a kind, poison only
itself. So after a failure another message is tried first, and if one of the same kind is
taken, those that failed before it get a strike each; enough strikes are proof. Compared is
within one kind only, because on a slow link the small messages pass and the pictures do not.
"""

from collections import Counter, defaultdict
from typing import Final

from visionedge.entities import Envelope, Kind

_STRIKES: Final = 5
"""A link that drops by chance five times in the same message, and never in one between, would
convict an innocent; nobody has seen one."""
_MOST_FAILED: Final = 32
"""When so many failed in a row it is the link, and nothing is learned from more."""


class Suspects:
    """Failures and successes in, convictions out. For one thread."""

    def __init__(self) -> None:
        self._failed: defaultdict[Kind, set[str]] = defaultdict(set)
        self._strikes: Counter[str] = Counter()

    @property
    def failed_ids(self) -> frozenset[str]:
        """What failed since another of its kind passed; try something else first."""
        return frozenset().union(*self._failed.values())

    def failed(self, envelope: Envelope) -> bool:
        """Note a failed send; True if the message is proven to be poison."""
        if self._strikes[envelope.id] >= _STRIKES:
            self._acquit(envelope)
            return True
        failed = self._failed[envelope.kind]
        if len(failed) >= _MOST_FAILED:
            failed.clear()
        failed.add(envelope.id)
        return False

    def passed(self, envelope: Envelope) -> None:
        """Note a successful send: it is cleared, and all of its kind that failed look worse."""
        self._acquit(envelope)
        self._strikes.update(self._failed.pop(envelope.kind, ()))
        if len(self._strikes) > 8 * _MOST_FAILED:
            self._strikes = Counter(dict(self._strikes.most_common(_MOST_FAILED)))

    def forgive(self) -> None:
        """Everything has failed: nothing is to be passed over any more."""
        self._failed.clear()

    def _acquit(self, envelope: Envelope) -> None:
        del self._strikes[envelope.id]
        self._failed[envelope.kind].discard(envelope.id)
