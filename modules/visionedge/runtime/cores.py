"""How many cores this process may use, which in a container is not how many the device has.

A worker a core is how models run best; a container that may use one core of eight would
otherwise start eight workers, which the kernel stops for most of each tenth of a second.
Source: cgroups(7); `cpu.max` of the unified hierarchy, `cpu.cfs_quota_us` of the older one.
"""

import math
import os
from pathlib import Path
from typing import Final

_UNIFIED: Final = Path("/sys/fs/cgroup/cpu.max")
_QUOTA: Final = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_PERIOD: Final = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


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
