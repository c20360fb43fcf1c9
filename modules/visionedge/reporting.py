"""The reporter: closes telemetry windows and writes health messages, off everybody's path.

Cameras and workers only leave a note; putting a message into the spool waits for a disk,
so it is done here. Frames captured and dropped are counted by the feeds in the metrics;
a window takes the difference, so there is one count and not two.

What has changed at a part is said once, so a full disk must not swallow it: it waits here, with
its time, until the spool takes it. A window of counts that cannot be kept is given up, for the
next one comes.
"""

import logging
import queue
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final, Literal

from visionedge.entities import Envelope, Kind, Outcome
from visionedge.errors import SpoolUnavailable
from visionedge.escalation.drift import DriftState
from visionedge.metrics import Metrics
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.worker import Worker
from visionedge.telemetry import Telemetry, health_envelope, telemetry_envelope
from visionedge.uplink.link import Link
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import Backlog
from visionedge.wire import DriftBody, OutageBody, SpoolTelemetry, TrialTelemetry

log: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.5
_MAX_NOTES: Final = 256
_TOLD_FOR: Final = timedelta(days=1)
"""An outage that is over is told of so long."""


class Reporter:
    """Writes telemetry and health into the spool until stopped.

    Args:
        telemetry: whose windows are closed.
        cameras: names of the cameras in use.
        revision: number of the settings in use.
        interval_s: length of a window; may be changed.
        trials: new bundles beside the active ones, by model.
        drift: how far each camera has drifted.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        metrics: Metrics,
        spool: Spool,
        link: Link,
        *,
        cameras: Callable[[], Iterable[str]],
        revision: Callable[[], int],
        interval_s: float,
        trials: Callable[[], Mapping[str, TrialTelemetry]] = dict,
        drift: Callable[[], Mapping[str, DriftState]] = dict,
        clock: Clock | None = None,
    ) -> None:
        self.interval_s = interval_s
        self._telemetry = telemetry
        self._metrics = metrics
        self._spool = spool
        self._link = link
        self._cameras = cameras
        self._revision = revision
        self._trials = trials
        self._clock = clock or SystemClock()
        self._drift = drift
        self._drifted: dict[str, DriftState] = {}
        self._notes: queue.Queue[tuple[str, str, str]] = queue.Queue(_MAX_NOTES)
        self._unwritten: deque[Envelope] = deque(maxlen=_MAX_NOTES)
        self._seen: dict[tuple[str, str], int] = {}
        self._closed_ns = self._clock.ns()
        self.worker = Worker(
            "reporter",
            self._run,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    def health(self, part: str, state: str, detail: str) -> None:
        """Note a change of health; never waits, and drops what nobody comes to write."""
        try:
            self._notes.put_nowait((part, state, detail))
        except queue.Full:
            log.warning("too many health changes at once, not reported: %s is %s", part, state)

    def spool_stats(self) -> SpoolTelemetry:
        """What waits on the device, and what was lost since the start."""
        try:
            backlog = list(self._spool.backlog().values())
        except SpoolUnavailable:
            backlog = [Backlog()]
        return SpoolTelemetry(
            messages=sum(b.messages for b in backlog),
            size_bytes=sum(b.size_bytes for b in backlog),
            unanswered=sum(b.sent.messages for b in backlog),
            lost=self._metrics.counts("visionedge_spool_lost_total", "cause"),
        )

    def unsent(self) -> int:
        """Escalations that wait to be sent."""
        try:
            return self._spool.backlog().get(Kind.ESCALATION, Backlog()).ready.messages
        except SpoolUnavailable:
            return 0

    def outage(self) -> OutageBody | None:
        """The outage that lasts, or the last one if it ended within a day."""
        try:
            outage = self._spool.outages.latest()
        except SpoolUnavailable:
            return None
        if outage is None or not outage.offline:
            return None
        if outage.ended_at is not None and self._clock.utc() - outage.ended_at > _TOLD_FOR:
            return None
        return OutageBody(
            number=outage.number,
            began_at=outage.began_at,
            ended_at=outage.ended_at,
            lasted_s=round(outage.lasted_s, 1),
            before=outage.before,
            seen=outage.seen,
            not_kept=dict(outage.not_kept),
            kept=outage.kept,
            settled=outage.settled,
            lost=dict(outage.lost),
            waiting=outage.waiting,
            drains_in_s=None if outage.drains_in_s is None else round(outage.drains_in_s, 1),
        )

    def stop(self, timeout_s: float) -> None:
        """Write what is noted and the last window, and end."""
        self.worker.stop(timeout_s)
        self._close_window()
        self._write_notes()

    def _run(self, worker: Worker) -> None:
        while not worker.wait(_POLL_S):
            worker.beat()
            self._write_notes()
            if self._clock.ns() - self._closed_ns >= self.interval_s * 1e9:
                self._close_window()

    def _write_notes(self) -> None:
        while not self._notes.empty():
            self._tell(*self._notes.get_nowait())
        for envelope in list(self._unwritten):
            try:
                self._spool.put(envelope)
            except SpoolUnavailable as error:
                log.warning("health messages wait for the spool: %s", error)
                return
            # A stop that does not wait for a slow disk may have written it too.
            with suppress(ValueError):
                self._unwritten.remove(envelope)

    def _tell(self, part: str, state: str, detail: str) -> None:
        self._unwritten.append(health_envelope(part, state, detail, self._clock.utc()))

    def _close_window(self) -> None:
        self._closed_ns = self._clock.ns()
        self._count_frames()
        self._tell_drift()
        window = self._telemetry.close_window(
            self._clock.utc(),
            self.spool_stats(),
            self._link.state,
            settings_revision=self._revision(),
            cameras=self._cameras(),
            agreement=self._agreement(),
            trials=self._trials(),
            outage=self.outage(),
            drift={name: _drift_body(state) for name, state in self._drifted.items()},
        )
        self._put(telemetry_envelope(window))

    def _agreement(self) -> dict[str, dict[Outcome, int]]:
        try:
            return self._spool.agreement()
        except SpoolUnavailable:
            return {}

    @property
    def drift(self) -> dict[str, str]:
        """Of each camera in one word, as of the last window."""
        return {name: _drift_word(state) for name, state in self._drifted.items()}

    def _tell_drift(self) -> None:
        before, self._drifted = self._drifted, dict(self._drift())
        for camera, state in self._drifted.items():
            for of, value in (("classes", state.classes), ("confidence", state.confidence)):
                self._metrics.drift_psi.labels(camera, of).set(value or 0.0)
            self._metrics.drifted.labels(camera).set(state.breached)
            was = before.get(camera)
            if state.breached != (was is not None and was.breached):
                self._drift_event(camera, state)

    def _drift_event(self, camera: str, state: DriftState) -> None:
        word = _drift_word(state)
        detail = (
            f"PSI of classes {state.classes or 0:.2f}, of confidences {state.confidence or 0:.2f}"
        )
        log.warning("%s: drift is %s, %s", camera, word, detail)
        self._tell(f"camera/{camera}/drift", word, detail)

    def _count_frames(self) -> None:
        for camera, count in self._grown("visionedge_frames_captured_total", None):
            self._telemetry.captured(camera, count)
        for cause in self._metrics.counts("visionedge_frames_dropped_total", "cause"):
            for camera, count in self._grown("visionedge_frames_dropped_total", cause):
                self._telemetry.dropped(camera, cause, count)

    def _grown(self, series: str, cause: str | None) -> Iterable[tuple[str, int]]:
        """Cameras and by how much their count has grown since the last window."""
        for camera in self._metrics.counts(series, "camera"):
            labels = {"camera": camera} | ({"cause": cause} if cause else {})
            total = int(self._metrics.value(series, labels))
            key = (camera, cause or series)
            grown = total - self._seen.get(key, 0)
            self._seen[key] = total
            if grown:
                yield camera, grown

    def _put(self, envelope: Envelope) -> None:
        try:
            self._spool.put(envelope)
        except SpoolUnavailable as error:
            log.warning("%s message not kept: %s", envelope.kind, error)


def _drift_word(state: DriftState) -> Literal["normal", "breached", "learning", "off"]:
    if state.breached:
        return "breached"
    return state.source if state.source in ("learning", "off") else "normal"


def _drift_body(state: DriftState) -> DriftBody:
    return DriftBody(
        state=_drift_word(state),
        baseline=state.source,
        classes=None if state.classes is None else round(state.classes, 4),
        confidence=None if state.confidence is None else round(state.confidence, 4),
    )
