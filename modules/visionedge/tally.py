"""What every frame adds to the metrics, with each counter looked up once and not each time.

A look-up by labels takes a lock and builds a key, and right after a run of a model, whose
weights have pushed everything else out of the caches, it takes ten times as long as in a
loop of its own: half of what a frame cost beside the model. So counters are kept here by
what they are asked for; there are as many as cameras and reasons.
"""

from typing import Final, Protocol

from visionedge.entities import Action, Decision
from visionedge.metrics import Metrics

_STAGES: Final = ("preprocess", "run", "decode", "cascade")


class _Counts(Protocol):
    def inc(self) -> None:
        """Count one."""


class _Times(Protocol):
    def observe(self, amount: float) -> None:
        """Add one to its bucket."""


class Tally:
    """The series that each frame touches. Safe for all threads."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._cameras: dict[str, tuple[_Counts, _Times]] = {}
        self._decisions: dict[tuple[str, Action, str], _Counts] = {}
        self._stages = {stage: metrics.stage.labels(stage) for stage in _STAGES}

    def decided(self, camera_id: str, decision: Decision, latency_s: float) -> None:
        """Count a frame and its decision."""
        # Two threads may look the same one up at once, and find the same one.
        processed, latency = self._cameras.get(camera_id) or self._camera(camera_id)
        processed.inc()
        latency.observe(latency_s)
        key = (camera_id, decision.action, decision.reason)
        counter = self._decisions.get(key)
        if counter is None:
            counter = self._decisions[key] = self._metrics.decisions.labels(*key)
        counter.inc()

    def took(self, stage: str, seconds: float) -> None:
        """Time one stage of a frame.

        Args:
            stage: preprocess, run, decode or cascade.
            seconds: how long it took.
        """
        self._stages[stage].observe(seconds)

    def _camera(self, camera_id: str) -> tuple[_Counts, _Times]:
        metrics = self._metrics
        found = (
            metrics.frames_processed.labels(camera_id),
            metrics.capture_to_decision.labels(camera_id),
        )
        self._cameras[camera_id] = found
        return found
