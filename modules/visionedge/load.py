"""Whether the machine keeps up with its cameras, told with hysteresis and with the figures.

When work exceeds the machine nothing queues up: the newest frame of each camera replaces the
one that nobody had time for, cameras get their turns by `priority`, and so every rate falls
alike while no result gets older. That is the right thing to do, and somebody should know of
it: so it is a state, with the rates that were asked for and that were given.

Counted over ten seconds, from the counters that the feeds and workers keep anyway.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from visionedge.metrics import Metrics
from visionedge.runtime.clock import Clock, SystemClock

KEEPS_UP: Final = "keeps up"
OVERLOADED: Final = "overloaded"
_LOOK_S: Final = 1.0
_WINDOW_S: Final = 10.0
_TOO_MANY: Final = 0.1
"""Share of frames that are replaced from which on the machine does not keep up."""
_FEW: Final = 0.03
"""Below this it does again; between the two nothing changes."""
_NAMED: Final = 5
Counts = Mapping[str, tuple[int, int]]
"""By camera: frames decided on, and frames replaced before a worker was free."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at_ns: int
    counts: Counts


class LoadWatch:
    """Looks at the counters now and then. For one thread.

    Args:
        metrics: whose counters are read, and where the state is shown.
        tell: told of each change, with state and reason.
        clock: by which rates are reckoned.
    """

    def __init__(
        self, metrics: Metrics, tell: Callable[[str, str], object], clock: Clock | None = None
    ) -> None:
        self._metrics = metrics
        self._tell = tell
        self._clock = clock or SystemClock()
        self._samples: deque[_Sample] = deque()
        self.state = KEEPS_UP

    def look(self) -> None:
        """Take a sample if it is time, and judge the window behind it."""
        now_ns = self._clock.ns()
        if self._samples and now_ns - self._samples[-1].at_ns < _LOOK_S * 1e9:
            return
        self._samples.append(_Sample(now_ns, self._counts()))
        if now_ns - self._samples[0].at_ns < _WINDOW_S * 1e9:
            return
        # One sample stays that is as old as the window.
        while now_ns - self._samples[1].at_ns >= _WINDOW_S * 1e9:
            self._samples.popleft()
        self._judge(self._samples[0], self._samples[-1])

    def _judge(self, first: _Sample, last: _Sample) -> None:
        grown = {
            camera: (done - before[0], replaced - before[1])
            for camera, (done, replaced) in last.counts.items()
            for before in [first.counts.get(camera, (0, 0))]
        }
        done = sum(each for each, _ in grown.values())
        replaced = sum(each for _, each in grown.values())
        share = replaced / max(1, done + replaced)
        state = self.state
        if share > _TOO_MANY:
            state = OVERLOADED
        elif share < _FEW:
            state = KEEPS_UP
        if state != self.state:
            self.state = state
            self._metrics.overloaded.set(state == OVERLOADED)
            self._tell(state, _reason(state, grown, (last.at_ns - first.at_ns) / 1e9))

    def _counts(self) -> Counts:
        count = self._metrics.counts
        done = count("visionedge_frames_processed_total", "camera")
        replaced = count("visionedge_frames_dropped_total", "camera", {"cause": "replaced"})
        return {
            camera: (done.get(camera, 0), replaced.get(camera, 0))
            for camera in done.keys() | replaced.keys()
        }


def _reason(state: str, grown: Counts, seconds: float) -> str:
    done = sum(each for each, _ in grown.values()) / seconds
    asked = done + sum(each for _, each in grown.values()) / seconds
    told = f"{done:.1f} of {asked:.1f} frames/s are looked at"
    if state == KEEPS_UP:
        return told
    worst = sorted(grown.items(), key=lambda item: -item[1][1])[:_NAMED]
    cameras = ", ".join(
        f"{camera} {each / seconds:.1f} of {(each + replaced) / seconds:.1f}"
        for camera, (each, replaced) in worst
    )
    return (
        f"{told} ({cameras}); results stay fresh. Run `visionedge tune`, lower `max_fps`, use "
        "`motion` or a smaller model, or give what matters a higher `priority`"
    )
