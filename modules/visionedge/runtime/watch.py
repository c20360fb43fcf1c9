"""How long a part that is stuck is borne with, before the process ends for it.

A thread that is parked in a driver cannot be ended from inside, so in the end only a new
process helps. Not at once: parked calls do come back, when a network share answers or a bus
is reset, and a restart loses what is in flight of every other camera. So a part that is
stuck is told first, at /healthz and in the log, and it is reason to end only once it has
been stuck without a break for `EXIT_AFTER_S`. That is longer than the container engine takes
to see three failed health checks half a minute apart, so that whoever watches it is told too.
"""

import logging
from collections.abc import Mapping
from typing import Final

from visionedge.runtime.clock import Clock

log: Final = logging.getLogger(__name__)
EXIT_AFTER_S: Final = 120.0
"""Stuck for so long is reason to end the process (EXIT_STUCK)."""


class StuckWatch:
    """Since when which part is stuck. `look` is for one thread, `told` for any.

    Args:
        clock: tells how long.
        exit_after_s: what is borne.
    """

    def __init__(self, clock: Clock, exit_after_s: float = EXIT_AFTER_S) -> None:
        self._clock = clock
        self._exit_after_s = exit_after_s
        self._since_ns: dict[str, int] = {}

    def look(self, stuck: Mapping[str, str]) -> list[str]:
        """Take note of what is stuck now; call it every second or so.

        Args:
            stuck: part to reason.

        Returns:
            The parts that have been stuck for too long.
        """
        now_ns = self._clock.ns()
        for part in self._since_ns.keys() - stuck.keys():
            lasted_s = (now_ns - self._since_ns[part]) / 1e9
            log.warning("%s is not stuck any more, after %.0f s", part, lasted_s)
        for part in stuck.keys() - self._since_ns.keys():
            log.error(
                "%s is stuck: %s; the process ends in %.0f s if it stays so",
                part, stuck[part], self._exit_after_s,
            )  # fmt: skip
        self._since_ns = {part: self._since_ns.get(part, now_ns) for part in stuck}
        return [part for part in stuck if self._left_s(part) <= 0]

    def told(self, stuck: Mapping[str, str]) -> list[str]:
        """A line for each part: what is wrong, and when the process ends for it."""
        return [
            f"{part}: {reason}; the process ends in {max(0.0, self._left_s(part)):.0f} s"
            for part, reason in stuck.items()
        ]

    def _left_s(self, part: str) -> float:
        now_ns = self._clock.ns()
        return self._exit_after_s - (now_ns - self._since_ns.get(part, now_ns)) / 1e9
