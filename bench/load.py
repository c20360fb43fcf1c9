"""How busy others kept the machine while a benchmark ran.

Ratios survive a busy machine and absolute times do not; so every result says how busy it
was. Counted from /proc/stat: all CPU time that was used, or taken by the hypervisor, less
our own and that of our children, ended or not. Where there is no /proc/stat, nothing is said.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/stat")
_IDLE: Final = (3, 4)
"""Of the `cpu` line: idle and iowait (proc(5)); steal is no idleness of ours."""
_GUEST: Final = 8
"""From here on the times are contained in earlier ones."""
_UTIME: Final = 11
"""Of /proc/PID/stat behind the name: own and children's CPU time, in ticks (proc(5))."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cores() -> int:
    """Cores of the machine, which is how many workers the module has by default."""
    return os.cpu_count() or 1


class Load:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._before = _busy_s()
        self._own_s = _own_s()
        self._began = time.perf_counter()

    @property
    def wall_s(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._began

    def own_s(self) -> float:
        """CPU seconds of this process and of its children."""
        return _own_s() - self._own_s

    def others(self) -> float | None:
        """Share of the whole machine that others used, 0..1; None where it cannot be told."""
        after = _busy_s()
        if after is None or self._before is None:
            return None
        share = (after - self._before - self.own_s()) / (self.wall_s * cores())
        return min(1.0, max(0.0, share))


def cpu_s(pid: int) -> float:
    """CPU seconds of a process that lives, and of its children that have ended.

    Raises:
        OSError: there is no such process.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, stat[_UTIME : _UTIME + 4])) / _TICKS


def _own_s() -> float:
    own_s = sum(os.times()[:4])
    for task in Path("/proc/self/task").glob("*/children"):
        for pid in task.read_text(encoding="ascii").split():
            # One that ends meanwhile is among those that have been waited for, the next time.
            with suppress(OSError):
                own_s += cpu_s(int(pid))
    return own_s


def _busy_s() -> float | None:
    try:
        line = _STAT.read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return None
    ticks = [int(number) for number in line.split()[1 : _GUEST + 1]]
    busy = sum(count for place, count in enumerate(ticks) if place not in _IDLE)
    return busy / _TICKS
