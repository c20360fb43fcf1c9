"""Cameras that give frames of which none is decided on, because the model fails on each.

Such a camera runs, its worker is busy and the machine keeps up: nothing else would show that
nobody looks. A cause may be one setting, as tiles so small that a frame has too many of them.

Counted from the counters that the workers keep anyway, over some seconds at least and over
several frames, for as long as a slow camera takes to give them: a frame now and then on which a
model fails is counted, and is no news.
"""

from collections.abc import Callable, Mapping
from typing import Final

from visionedge.cameras.feed import CameraState
from visionedge.metrics import Metrics
from visionedge.runtime.clock import Clock, SystemClock

UNDECIDED: Final = "undecided"
"""How such a camera is shown, where it would be running."""
_WINDOW_S: Final = 5.0
_LEAST_FAILED: Final = 3
"""Frames in a row: a camera that gives one a minute may fail on one of them now and then."""


class UndecidedWatch:
    """Looks at the counters now and then. For one thread; `shown` is for all.

    Args:
        metrics: whose counters are read.
        tell: told of each change: of which camera, and on how many frames in a row its model has
            failed; 0 once a frame is decided on again.
    """

    def __init__(
        self, metrics: Metrics, tell: Callable[[str, int], object], clock: Clock | None = None
    ) -> None:
        self._metrics = metrics
        self._tell = tell
        self._clock = clock or SystemClock()
        self._looked_ns = self._clock.ns()
        self._decided: Mapping[str, int] = {}
        self._failed: dict[str, int] = {}
        """As it was when a frame of the camera was last seen to be decided on."""
        self._undecided: frozenset[str] = frozenset()

    def look(self) -> None:
        """Compare with the last look, if that was long enough ago."""
        now_ns = self._clock.ns()
        if now_ns - self._looked_ns < _WINDOW_S * 1e9:
            return
        decided = self._metrics.counts("visionedge_frames_processed_total", "camera")
        failed = self._metrics.counts(
            "visionedge_frames_dropped_total", "camera", {"cause": "model_error"}
        )
        for camera in decided.keys() | failed.keys():
            if decided.get(camera, 0) > self._decided.get(camera, 0):
                self._failed[camera] = failed.get(camera, 0)
                self._judge(camera, 0)
            elif (in_a_row := failed.get(camera, 0) - self._failed.get(camera, 0)) >= _LEAST_FAILED:
                self._judge(camera, in_a_row)
        self._looked_ns, self._decided = now_ns, decided

    def shown(self, states: Mapping[str, str]) -> dict[str, str]:
        """The states of cameras, with those first that run and are not decided on."""
        found = {
            name: UNDECIDED
            for name in states
            if name in self._undecided and states[name] == CameraState.RUNNING
        }
        return {**found, **{name: states[name] for name in states if name not in found}}

    def _judge(self, camera: str, failed: int) -> None:
        if (camera in self._undecided) != bool(failed):
            self._undecided ^= {camera}
            self._tell(camera, failed)
