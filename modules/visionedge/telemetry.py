"""What happened in a window of time, as one small message; and what was lost or came back.

Every decision is recorded, on the hot path, by every worker: so recording is a few counters
under one short lock, and a window holds the same memory however long it lasts.

The message fits the wire by construction: the rarest labels are added up first.

What this does not promise: that a count is final. A window that is lost with a crash is not
made up for; what must never be lost is counted by the spool.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

import numpy as np

from visionedge.entities import (
    Action,
    Decision,
    Detections,
    Envelope,
    Frame,
    Kind,
    Outcome,
    Prediction,
    label_of,
    new_id,
)
from visionedge.runtime.latencies import Latencies
from visionedge.runtime.redact import redact
from visionedge.wire import (
    MAX_MESSAGE_BYTES,
    CameraTelemetry,
    DriftBody,
    Health,
    LatencyBody,
    OutageBody,
    SpoolTelemetry,
    TrialTelemetry,
)
from visionedge.wire import Telemetry as Message

Link = Literal["online", "degraded", "offline", "draining"]

_LABELS_KEPT: Final = (64, 16, 4, 0)
"""Labels a camera may name; the next fewer where the message would not fit."""
_LABEL_CHARS: Final = 64
_PROPERTIES_BYTES: Final = 256
_OTHER: Final = "(other)"
_DETAIL_CHARS: Final = 1024
_NAME_CHARS: Final = 256
_PRESENT: Final = 0.5
"""From here on a class that is judged by itself counts as seen."""
_TTL: Final = timedelta(days=7)
"""A window is of use as long as an escalation may be: it explains the outage behind it."""
_TELEMETRY_VALUE: Final = 0.9
_HEALTH_VALUE: Final = 1.0
"""Both outlive most pictures in a full spool: giving one up makes room for nothing."""


class _Camera:
    """One camera in the window."""

    def __init__(self) -> None:
        self.captured = 0
        self.dropped: Counter[str] = Counter()
        self.actions: Counter[Action] = Counter()
        self.reasons: Counter[str] = Counter()
        self.provisional: Counter[str] = Counter()
        self.second_looks: Counter[str] = Counter()
        # By the labels of the model, so that the hot path counts numbers and not names.
        self.classes: dict[tuple[str, ...], Counter[int]] = {}
        self.latencies = Latencies()

    def message(self, labels_kept: int) -> CameraTelemetry:
        return CameraTelemetry(
            captured=self.captured,
            processed=self.actions.total(),
            dropped=dict(self.dropped),
            accepted=self.actions[Action.ACCEPT],
            escalated=self.actions[Action.ESCALATE],
            suppressed=self.actions[Action.SUPPRESS],
            labels=self._labels(labels_kept),
            reasons=dict(self.reasons),
            provisional=dict(self.provisional),
            second_looks=dict(self.second_looks),
            latency=self.latencies.percentiles(),
        )

    def seen(self) -> Counter[str]:
        """Objects, or frames of a class, by label."""
        counts: Counter[str] = Counter()
        for labels, classes in self.classes.items():
            for class_id, count in classes.items():
                counts[label_of(labels, class_id)[:_LABEL_CHARS]] += count
        return counts

    def _labels(self, kept: int) -> dict[str, int]:
        counts = self.seen()
        named = dict(counts.most_common(kept))
        rest = counts.total() - sum(named.values())
        return {**named, _OTHER: rest} if rest else named


class Telemetry:
    """Counts what happens between two calls of `close_window`. Safe for all threads.

    Args:
        now: UTC, when the first window begins.
    """

    def __init__(self, now: datetime) -> None:
        self._lock = threading.Lock()
        self._start = now
        self._cameras: dict[str, _Camera] = {}
        self._resolutions: Counter[str] = Counter()
        self._recent = Latencies()
        self._total = Latencies()
        self._seen: Counter[str] = Counter()

    def captured(self, camera_id: str, count: int = 1) -> None:
        """Count frames that a camera gave."""
        with self._lock:
            self._camera(camera_id).captured += count

    def dropped(self, camera_id: str, cause: str, count: int = 1) -> None:
        """Count frames that nobody decided on."""
        with self._lock:
            self._camera(camera_id).dropped[cause] += count

    def record(
        self, frame: Frame, prediction: Prediction, decision: Decision, latency_s: float
    ) -> None:
        """Count one decision.

        Args:
            frame: of which only the camera is read.
            prediction: its boxes, the best class, or the classes at one half or more are
                counted by label.
            decision: its reason is counted unless it is ACCEPT.
            latency_s: from capture to decision.
        """
        seen = _seen(prediction)
        with self._lock:
            camera = self._camera(frame.camera_id)
            camera.actions[decision.action] += 1
            if decision.action is not Action.ACCEPT:
                camera.reasons[decision.reason] += 1
            if decision.provisional is not None:
                camera.provisional[decision.provisional.value] += 1
            classes = camera.classes.get(prediction.labels)
            if classes is None:
                classes = camera.classes[prediction.labels] = Counter()
            for class_id in seen:
                classes[class_id] += 1
            camera.latencies.add(latency_s)
            self._recent.add(latency_s)
            self._total.add(latency_s)

    def second_look(self, camera_id: str, result: str) -> None:
        """Count one second look at a doubtful frame."""
        with self._lock:
            self._camera(camera_id).second_looks[result] += 1

    def recent_latency(self) -> LatencyBody | None:
        """Of all cameras since the last call of this; None where there was no frame."""
        with self._lock:
            recent, self._recent = self._recent, Latencies()
        return recent.percentiles()

    def total_latency(self) -> LatencyBody | None:
        """Of all cameras since the start; None where there was no frame."""
        with self._lock:
            return self._total.percentiles()

    def total_seen(self) -> Counter[str]:
        """What was predicted since the start, by label: objects, or frames of a class."""
        with self._lock:
            return sum((camera.seen() for camera in self._cameras.values()), Counter(self._seen))

    def resolved(self, outcome: Outcome) -> None:
        """Count one settled escalation."""
        with self._lock:
            self._resolutions[outcome.value] += 1

    def close_window(
        self,
        now: datetime,
        spool: SpoolTelemetry,
        link: Link,
        *,
        settings_revision: int,
        cameras: Iterable[str] = (),
        agreement: Mapping[str, Mapping[Outcome, int]] | None = None,
        trials: Mapping[str, TrialTelemetry] | None = None,
        outage: OutageBody | None = None,
        drift: Mapping[str, DriftBody] | None = None,
    ) -> Message:
        """End the window and begin the next.

        Args:
            now: UTC.
            spool: what waits on the device.
            link: the measured state of the way up.
            settings_revision: that is in use.
            cameras: those that must be named even if nothing happened, because a camera
                that gives nothing is news.
            agreement: what verdicts said of each class, ever.
            trials: new bundles beside the active ones, by model.
            outage: the one that lasts, or the last one.
            drift: of each camera.
        """
        with self._lock:
            start, self._start = self._start, now
            happened, self._cameras = self._cameras, {}
            self._seen = sum((camera.seen() for camera in happened.values()), self._seen)
            resolutions, self._resolutions = self._resolutions, Counter()
        for name in cameras:
            happened.setdefault(name, _Camera())
        message = Message(
            id=new_id(),
            # The wall clock may have been set back within the window.
            window_start=min(start, now),
            window_end=now,
            settings_revision=settings_revision,
            cameras={},
            resolutions=dict(resolutions),
            agreement=_shortened(agreement or {}),
            trials=dict(trials or {}),
            spool=spool,
            link=link,
            outage=outage,
            drift=dict(drift or {}),
        )
        return _fitting(message, happened)

    def _camera(self, camera_id: str) -> _Camera:
        camera = self._cameras.get(camera_id)
        if camera is None:
            camera = self._cameras[camera_id] = _Camera()
        return camera


def telemetry_envelope(message: Message) -> Envelope:
    """The envelope of a closed window."""
    properties = {"schema": message.schema_name, "link": message.link}
    return _envelope(message, message.window_end, _TELEMETRY_VALUE, properties)


def health_envelope(part: str, state: str, detail: str, now: datetime) -> Envelope:
    """The envelope of one thing that was lost or came back.

    Args:
        part: ASCII, which part, such as `camera/line-1`; routes can filter by it.
        state: ASCII, its new state, such as `lost` or `running`.
        detail: for people; passwords are taken out of it, and what is too long is cut.
        now: UTC.
    """
    message = Health(
        id=new_id(),
        at=now,
        part=part[:_NAME_CHARS],
        state=state[:_NAME_CHARS],
        detail=redact(detail[: 8 * _DETAIL_CHARS])[:_DETAIL_CHARS],
    )
    properties = {"schema": message.schema_name, "part": message.part, "state": message.state}
    return _envelope(message, now, _HEALTH_VALUE, properties)


def _envelope(
    message: Message | Health, now: datetime, value: float, properties: Mapping[str, str]
) -> Envelope:
    return Envelope(
        id=message.id,
        kind=Kind.TELEMETRY if isinstance(message, Message) else Kind.HEALTH,
        value=value,
        created_at=now,
        expires_at=now + _TTL,
        body=message.encode(),
        properties={k: v.encode("ascii", "replace").decode() for k, v in properties.items()},
    )


def _seen(prediction: Prediction) -> list[int]:
    """Class ids of what is in the frame."""
    if isinstance(prediction, Detections):
        ids: list[int] = prediction.class_id.tolist()
        return ids
    if prediction.multilabel:
        present: list[int] = np.flatnonzero(prediction.confidence >= _PRESENT).tolist()
        return present
    return [int(prediction.confidence.argmax())] if len(prediction) else []


def _shortened(agreement: Mapping[str, Mapping[Outcome, int]]) -> dict[str, dict[str, int]]:
    """The classes that verdicts spoke of most, as many as a message always holds."""
    often = sorted(agreement, key=lambda label: -sum(agreement[label].values()))
    return {
        label[:_LABEL_CHARS]: {outcome.value: n for outcome, n in agreement[label].items()}
        for label in often[: _LABELS_KEPT[0]]
    }


def _fitting(message: Message, cameras: dict[str, _Camera]) -> Message:
    """`message` with its cameras, naming as many labels as fit the wire."""
    for kept in _LABELS_KEPT:
        named = {name: camera.message(kept) for name, camera in sorted(cameras.items())}
        message = message.model_copy(update={"cameras": named})
        if len(message.encode()) <= MAX_MESSAGE_BYTES - _PROPERTIES_BYTES:
            break
    return message
