"""How many cores this process may use, and how a thread leaves them to those that frames need.

How many is in a container not how many the device has. A worker a core is how models run best;
a container that may use one core of eight would otherwise start eight workers, which the kernel
stops for most of each tenth of a second.

What prepares, what looks again, and what makes pictures to send runs on what the workers leave.
Fifteen steps down are a thirtieth of the share of a thread that frames wait for. Ten were a tenth,
and Linux hands shares out in ticks of 4 ms: half an inference. More would be worse where others
keep the device busy, because a thread that is not run while it holds the interpreter's lock holds
up all.

Sources: cgroups(7); `cpu.max` of the unified hierarchy, `cpu.cfs_quota_us` of the older one.
setpriority(2): on Linux a thread has a niceness of its own, and cannot take it back.
sys.setswitchinterval.
"""

import contextlib
import math
import os
import sys
import threading
from pathlib import Path
from typing import Final

_UNIFIED: Final = Path("/sys/fs/cgroup/cpu.max")
_QUOTA: Final = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_PERIOD: Final = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
_NICENESS: Final = 15
_TURN_S: Final = 0.001


def cores(unified: Path = _UNIFIED, quota: Path = _QUOTA, period: Path = _PERIOD) -> int:
    """Cores that may be used: by affinity, and by the container's limit, rounded up; at least 1.

    Args:
        unified: file with quota and period of the container, microseconds; `max` is no limit.
        quota: the same by two files, on older systems; below 0 is no limit.
        period: of the quota.
    """
    allowed = len(os.sched_getaffinity(0))
    limits = [_share(_words(unified)), _share([*_words(quota), *_words(period)])]
    return max(1, min([allowed, *(math.ceil(limit) for limit in limits if limit)]))


def leave_cores() -> None:
    """Let the calling thread run on what the others leave, until it ends."""
    # Of this thread alone, on Linux; where it is not allowed it is as nice as the others.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def take_short_turns() -> None:
    """Let a thread of this process that wants the interpreter have it within a millisecond.

    A frame gives it away for each call of OpenCV, NumPy and the runtime, and wants it back ten
    times. Who has it meanwhile (a patch that is checked, a model that is loaded) keeps it for
    5 ms by default: more than half an inference.
    """
    sys.setswitchinterval(_TURN_S)


def _share(words: list[str]) -> float | None:
    """Quota over period; None where there is no limit, or none that can be read."""
    try:
        quota, period = map(int, words)
    except ValueError:
        return None
    return quota / period if quota > 0 and period > 0 else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []
