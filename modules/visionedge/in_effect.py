"""A change of the models that is put into effect, again and again until it is so.

The line is wired whole: where another model cannot be loaded just now, as from a disk that is
away, a bundle that was given up would go on answering frames. What was decided of it holds all the
same, and is owed to the line.

What this does not promise: that a step which was not decided yet is taken. Who can leave all as it
was does that, and tries again by himself.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from visionedge.errors import SettingsError
from visionedge.runtime.backoff import Backoff
from visionedge.runtime.redact import redact

log: Final = logging.getLogger(__name__)
Rewire = Callable[[], None]
"""Wires the line by the models that are in use now; a SettingsError where that cannot be."""


class InEffect:
    """What is owed to the line. For one thread."""

    def __init__(self) -> None:
        self._backoff = Backoff(5.0, 300.0)
        self._due_s: float | None = None

    @property
    def owes(self) -> bool:
        """True while the last change is not in effect."""
        return self._due_s is not None

    def put(self, rewire: Rewire) -> None:
        """Put a change into effect; where that cannot be, `again` does it later."""
        try:
            rewire()
        except SettingsError as error:
            level = logging.DEBUG if self.owes else logging.ERROR
            log.log(level, "a change of models is not in effect yet: %s", redact(str(error)))
            self._due_s = time.monotonic() + self._backoff.next_s()
        else:
            self._due_s = None
            self._backoff.reset()

    def again(self, rewire: Rewire) -> None:
        """Try what is owed, if it is time to; call it now and then."""
        if self._due_s is not None and time.monotonic() >= self._due_s:
            self.put(rewire)
