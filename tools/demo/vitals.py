"""How much a running module takes, second by second, and whether that has grown.

The rule: what comes in the first third of the time is warming up. Of the other two, the
lower quartile of the last must not lie above that of the middle one by more than an
allowance. The lower quartile, because memory that was freed is given back in steps (see
`visionedge.runtime.heap`): what a leak lifts is the bottom of the saw-tooth, and its teeth
say nothing. The allowance is one tooth, because memory may stand at any height of it. A leak
shows from allowance / third on: 48 MiB within 3 minutes of 10, or within 2 hours of 6.

Threads are told by what runs: so many for the module, for each camera, for each worker, and
for one session of the SDK. A session has its threads only while it is open, and fills its
pools by and by: so two thirds may differ by the pools, and the end by nothing at all.
"""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from visionedge.runtime.heap import GROWTH_BYTES

_EVERY_S: Final = 1.0
_FEWEST: Final = 12
"""Samples, below which nothing can be said."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a process.

    Attributes:
        at_s: seconds since the first look.
        pid: whose; another one after a restart.
        resident_bytes: in memory.
        threads: how many.
        descriptors: open files and sockets.
    """

    at_s: float
    pid: int
    resident_bytes: int
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One of the figures that must not grow.

    Attributes:
        name: for people.
        of: reads it, in its unit.
        allowance: by which the last third may lie above the middle one.
    """

    name: str
    of: Callable[[Vitals], float]
    allowance: float


_OWN: Final = 13
"""The main thread; signals, snapshots, second look, reporter, delivery, control, acknowledger,
predictions, uplink and sender; and two queues that the SDK never ends."""
_A_CAMERA: Final = 2
"""Its feed, and its calls under a deadline."""
_POOLS: Final = 16
"""Four of four, for methods, patches, messages and changes of the link: the SDK's
sync_handler_manager."""
_SESSION: Final = _POOLS + 12
"""Five callers of ours; the SDK's MQTT loop, two timers, and four that feed the pools."""
MEASURES: Final = (
    Measure("memory, MiB", lambda vitals: vitals.resident_bytes / 2**20, GROWTH_BYTES / 2**20),
    Measure("threads", lambda vitals: vitals.threads, _POOLS),
    Measure("descriptors", lambda vitals: vitals.descriptors, 8),
)


def threads_at_rest(workers: int, cameras: int) -> int:
    """The most threads of a module that has one session and changes no model."""
    return _OWN + workers + _A_CAMERA * cameras + _SESSION


def growth(vitals: Sequence[Vitals], measure: Measure) -> tuple[float, float]:
    """Lower quartiles of the middle and the last third.

    Raises:
        ValueError: there are too few samples to say anything.
    """
    if len(vitals) < _FEWEST:
        raise ValueError(f"{len(vitals)} samples say nothing of growth, {_FEWEST} are needed")
    third = len(vitals) // 3
    parts = (vitals[third : 2 * third], vitals[2 * third :])
    middle, last = (statistics.quantiles(map(measure.of, part), n=4)[0] for part in parts)
    return middle, last


def read_vitals(pid: int, at_s: float) -> Vitals | None:
    """What /proc tells of a process now; None where it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if "VmRSS" not in fields:
        return None
    resident_bytes = int(fields["VmRSS"].split()[0]) * 1024
    return Vitals(at_s, pid, resident_bytes, int(fields["Threads"]), descriptors)


class Watcher:
    """Looks once a second, in a thread of its own, until the end of its `with`.

    Args:
        pid: of the process, asked each time.
        tell: gets each look; for a line of progress.

    Attributes:
        seen: every look so far.
    """

    def __init__(self, pid: Callable[[], int], tell: Callable[[Vitals], None]) -> None:
        self.seen: list[Vitals] = []
        self._pid = pid
        self._tell = tell
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vitals", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(_EVERY_S * 5)

    def _run(self) -> None:
        began_s = time.monotonic()
        while not self._end.wait(_EVERY_S):
            vitals = read_vitals(self._pid(), time.monotonic() - began_s)
            if vitals is not None:
                self.seen.append(vitals)
                self._tell(vitals)
