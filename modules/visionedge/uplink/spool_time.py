"""The spool's own time: seconds that it has lived, whatever the wall clock says.

A factory PC without a battery starts in 1970 and is put right minutes later; an operator
types the wrong year. If messages expired by wall time, either jump would throw a week of
doubt away in one second, or keep it for decades. So every age in the spool is counted in
lived seconds:

- while the process runs, the monotonic clock alone moves them; jumps are not even seen;
- over a restart they move on by the wall time since the last write, if that is credible:
  not negative and at most `CREDIBLE_GAP_S`. A gap beyond belief counts as none.

So a message never expires early by a jump while the module runs, and late by no more than
the time the device was off with a wrong clock. Not promised: a restart at which the clock is
wrong by a believable span, such as ten days ahead, counts those ten days.
"""

from typing import Final

from visionedge.runtime.clock import Clock

CREDIBLE_GAP_S: Final = 30 * 86_400.0
"""Longer than any message lives by default, so a shorter belief would only delay expiry."""


class SpoolTime:
    """Lived seconds. `resume` comes first; safe for all threads after it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lived_s = 0.0
        self._since_ns = clock.ns()

    def resume(self, lived_s: float, wall_s: float) -> None:
        """Go on from what was last written down.

        Args:
            lived_s: lived seconds at the last write.
            wall_s: wall time of the last write, as a Unix timestamp.
        """
        gap_s = self.wall_s() - wall_s
        self._lived_s = lived_s + (gap_s if 0 <= gap_s <= CREDIBLE_GAP_S else 0.0)
        self._since_ns = self._clock.ns()

    def now_s(self) -> float:
        """Lived seconds now; never goes back."""
        return self._lived_s + (self._clock.ns() - self._since_ns) / 1e9

    def wall_s(self) -> float:
        """Wall time now, as a Unix timestamp, to be written down beside `now_s`."""
        return self._clock.utc().timestamp()
