"""Prometheus metrics: one object with every series of the module, on a registry of its own.

No global registry, so that tests and several modules in one process do not meet. The
labels that IoT Edge asks of every series (`iothub`, `edge_device`, `module_name`,
`instance_number`) are added when the page is written, so they cost nothing on the hot
path. Cameras, classes and causes are labels, never parts of a name.

The page is the plain text format: the metrics collector's parser does not know
OpenMetrics. Source: Microsoft Learn, "Add custom metrics (IoT Edge)".
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "visionedge"
_LATENCY_S: Final = (
    0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.35, 0.6, 1.0, 2.5, 10.0,
)  # fmt: skip
_VERDICT_S: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86_400, 604_800)


@dataclass(frozen=True, slots=True)
class Series:
    """One series as an operator meets it on the page.

    Attributes:
        name: as it is queried, so a counter ends in `_total`.
        kind: counter, gauge or histogram.
        meaning: its help text.
        labels: its own labels, besides those of the identity.
    """

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]


def identity_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The labels that IoT Edge asks of every series, from what it tells the process."""
    return {
        "iothub": environment.get("IOTEDGE_IOTHUBHOSTNAME", ""),
        "edge_device": environment.get("IOTEDGE_DEVICEID", ""),
        "module_name": environment.get("IOTEDGE_MODULEID", "visionedge"),
        "instance_number": uuid.uuid4().hex,
    }


class Metrics:
    """Every series of the module. Safe for all threads.

    Args:
        identity: labels put on every series, such as `edge_device`.
    """

    def __init__(self, identity: Mapping[str, str] | None = None) -> None:
        self._identity = dict(identity or {})
        self._registry = CollectorRegistry(auto_describe=False)
        self._series: list[Series] = []
        self._add_frames()
        self._add_cameras()
        self._add_escalations()
        self._add_link()

    def _add_frames(self) -> None:
        self.frames_captured = self._counter(
            "frames_captured", "Frames that a camera gave", "camera"
        )
        self.frames_processed = self._counter(
            "frames_processed", "Frames that were decided on", "camera"
        )
        self.frames_dropped = self._counter(
            "frames_dropped",
            "Frames not decided on, by cause: replaced, rate, unchanged, stale, undecoded, "
            "model_error, stopped",
            "camera",
            "cause",
        )
        self.boxes_skipped = self._counter(
            "boxes_skipped",
            "Boxes that were too many for the second model of a cascade",
            "camera",
        )
        self.frame_bytes = self._counter(
            "frame_bytes", "Bytes of all frames captured, as pixels", "camera"
        )
        self.capture_to_decision = self._histogram(
            "capture_to_decision_seconds", "From capture to decision", _LATENCY_S, "camera"
        )
        self.stage = self._histogram(
            "stage_seconds",
            "Time in one stage: preprocess, run, decode, cascade, snapshot, spool, send",
            _LATENCY_S,
            "stage",
        )
        self.decisions = self._counter("decisions", "Decisions", "camera", "action", "reason")
        self.input_answers = self._counter(
            "input_answers",
            "Answers to frames of other modules, by result: ok, or the code of the error",
            "camera",
            "result",
        )

    def _add_cameras(self) -> None:
        self.camera_up = self._gauge("camera_up", "1 while the camera gives frames", "camera")
        self.camera_fault = self._gauge(
            "camera_fault",
            "1 while the picture is bad, by fault: dark, over_exposed, blurred",
            "camera",
            "fault",
        )
        self.drift_psi = self._gauge(
            "drift_psi",
            "Population stability index of the last window, of: classes, confidence",
            "camera",
            "of",
        )
        self.drifted = self._gauge(
            "drifted", "1 while a camera shows other things than it used to", "camera"
        )
        self.camera_reopened = self._counter(
            "camera_reopened", "Times a camera was opened anew", "camera"
        )

    def _add_escalations(self) -> None:
        self.escalations_dropped = self._counter(
            "escalations_dropped",
            "Doubtful frames that never reached the spool, by cause: "
            "queue, snapshot, redaction, spool, stopped, grew_sure, second_look, over_budget",
            "camera",
            "cause",
        )
        self.second_looks = self._counter(
            "second_looks",
            "Second looks at doubtful frames, by result: agreed, differed, failed, skipped",
            "camera",
            "result",
        )
        self.escalations_paused = self._gauge(
            "escalations_paused", "1 while the cloud has asked to keep escalations"
        )
        self.spool_messages = self._gauge("spool_messages", "Messages in the spool", "kind")
        self.spool_bytes = self._gauge("spool_bytes", "Bytes in the spool", "kind")
        self.spool_lost = self._counter(
            "spool_lost",
            "Messages given up, by cause: evicted, expired, too_large, rejected, corrupt",
            "kind",
            "cause",
        )
        self.unanswered = self._gauge(
            "unanswered_escalations", "Escalations sent and not yet settled"
        )
        self.verdict_age = self._histogram(
            "verdict_age_seconds", "From the creation of an escalation to its verdict", _VERDICT_S
        )
        self.resolutions = self._counter("resolutions", "Settled escalations", "outcome")
        self.agreement = self._counter(
            "agreement",
            "Claims and objects that a verdict spoke of, by class: "
            "confirmed, corrected, rejected, missed",
            "label",
            "outcome",
        )

    def _add_link(self) -> None:
        self.sent = self._counter(
            "sent", "Sends, by result: ok, unavailable, rejected", "kind", "result"
        )
        self.sent_bytes = self._counter("sent_bytes", "Bytes of body and properties sent", "kind")
        self.link_up = self._gauge("link_up", "1 while the hub client is connected")
        self.link_rebuilt = self._counter(
            "link_rebuilt", "Times the hub client was built anew", "cause"
        )
        self.settings_revision = self._gauge("settings_revision", "Revision of the settings in use")
        self.twin_patches = self._counter("twin_patches", "Desired properties, by result", "result")
        self.model_deliveries = self._counter(
            "model_deliveries",
            "Bundles by what became of them: active, refused, rolled_back",
            "result",
        )
        self.overloaded = self._gauge(
            "overloaded", "1 while cameras give more frames than can be looked at"
        )
        self.worker_crashes = self._counter("worker_crashes", "Crashes of a worker's job", "worker")

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self._series.append(Series(f"{_PREFIX}_{name}_total", "counter", meaning, labels))
        return Counter(f"{_PREFIX}_{name}", meaning, labels, registry=self._registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self._series.append(Series(f"{_PREFIX}_{name}", "gauge", meaning, labels))
        return Gauge(f"{_PREFIX}_{name}", meaning, labels, registry=self._registry)

    def _histogram(
        self, name: str, meaning: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        self._series.append(Series(f"{_PREFIX}_{name}", "histogram", meaning, labels))
        return Histogram(
            f"{_PREFIX}_{name}", meaning, labels, buckets=buckets, registry=self._registry
        )

    def forget_camera(self, camera_id: str) -> None:
        """Take away how a camera is, once it is gone: it is not down, and has no fault."""
        for state in (self.camera_up, self.camera_fault, self.drift_psi, self.drifted):
            state.remove_by_labels({"camera": camera_id})

    def series(self) -> tuple[Series, ...]:
        """What there is to watch, in the order of the page."""
        return tuple(self._series)

    def page(self) -> bytes:
        """All series as Prometheus text."""
        return generate_latest(_Identified(self._registry, self._identity))

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        """The sum of all samples of `name` that carry `labels`; 0 where there are none."""
        wanted = (labels or {}).items()
        return sum(
            sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name == name and wanted <= sample.labels.items()
        )

    def counts(self, name: str, by: str, labels: Mapping[str, str] | None = None) -> dict[str, int]:
        """Samples of `name` that carry `labels`, added up by one label."""
        wanted = (labels or {}).items()
        counts: dict[str, int] = {}
        for family in self._registry.collect():
            for sample in family.samples:
                if sample.name == name and by in sample.labels and wanted <= sample.labels.items():
                    key = sample.labels[by]
                    counts[key] = counts.get(key, 0) + int(sample.value)
        return counts


class _Identified(Collector):
    """A registry whose samples all carry a few labels more.

    The library's `_created` samples are left out: nobody queries when a counter was made,
    and they would double what the collector uploads.
    """

    def __init__(self, registry: CollectorRegistry, identity: dict[str, str]) -> None:
        self._registry = registry
        self._identity = identity

    def collect(self) -> Iterable[Metric]:
        """The families of the registry, labelled."""
        for family in self._registry.collect():
            family.samples = [
                sample._replace(labels={**self._identity, **sample.labels})
                for sample in family.samples
                if not sample.name.endswith("_created")
            ]
            yield family
