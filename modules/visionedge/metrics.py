"""Prometheus metrics: one object with every series of the module, on a registry of its own.

No global registry, so that tests and several modules in one process do not meet. The
labels that IoT Edge asks of every series (`iothub`, `edge_device`, `module_name`,
`instance_number`) are added when the page is written, so they cost nothing on the hot
path. Cameras, classes and causes are labels, never parts of a name.

The page is the plain text format: the metrics collector's parser does not know
OpenMetrics. Source: Microsoft Learn, "Add custom metrics (IoT Edge)".
"""

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LATENCY_S: Final = (
    0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.35, 0.6, 1.0, 2.5, 10.0,
)  # fmt: skip
_VERDICT_S: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86_400, 604_800)


class Metrics:
    """Every series of the module. Safe for all threads.

    Args:
        identity: labels put on every series, such as `edge_device`.
    """

    def __init__(self, identity: Mapping[str, str] | None = None) -> None:
        self._identity = dict(identity or {})
        self._registry = CollectorRegistry(auto_describe=False)
        r = self._registry
        p = "visionedge"
        self.frames_captured = Counter(
            f"{p}_frames_captured", "Frames that a camera gave", ["camera"], registry=r
        )
        self.frames_processed = Counter(
            f"{p}_frames_processed", "Frames that were decided on", ["camera"], registry=r
        )
        self.frames_dropped = Counter(
            f"{p}_frames_dropped",
            "Frames not decided on, by cause: replaced, rate, stale, model_error, stopped",
            ["camera", "cause"],
            registry=r,
        )
        self.frame_bytes = Counter(
            f"{p}_frame_bytes", "Bytes of all frames captured, as pixels", ["camera"], registry=r
        )
        self.capture_to_decision = Histogram(
            f"{p}_capture_to_decision_seconds",
            "From capture to decision",
            ["camera"],
            buckets=_LATENCY_S,
            registry=r,
        )
        self.stage = Histogram(
            f"{p}_stage_seconds",
            "Time in one stage: preprocess, run, decode, decide, snapshot, spool, send",
            ["stage"],
            buckets=_LATENCY_S,
            registry=r,
        )
        self.decisions = Counter(
            f"{p}_decisions", "Decisions", ["camera", "action", "reason"], registry=r
        )
        self.escalations_dropped = Counter(
            f"{p}_escalations_dropped",
            "Doubtful frames that never reached the spool, by cause: queue, snapshot, spool",
            ["camera", "cause"],
            registry=r,
        )
        self.camera_up = Gauge(
            f"{p}_camera_up", "1 while the camera gives frames", ["camera"], registry=r
        )
        self.camera_reopened = Counter(
            f"{p}_camera_reopened", "Times a camera was opened anew", ["camera"], registry=r
        )
        self.spool_messages = Gauge(
            f"{p}_spool_messages", "Messages in the spool", ["kind"], registry=r
        )
        self.spool_bytes = Gauge(f"{p}_spool_bytes", "Bytes in the spool", ["kind"], registry=r)
        self.spool_lost = Counter(
            f"{p}_spool_lost",
            "Messages given up, by cause: evicted, expired, too_large, rejected, corrupt",
            ["kind", "cause"],
            registry=r,
        )
        self.sent = Counter(
            f"{p}_sent",
            "Sends, by result: ok, unavailable, rejected",
            ["kind", "result"],
            registry=r,
        )
        self.sent_bytes = Counter(
            f"{p}_sent_bytes", "Bytes of body and properties sent", ["kind"], registry=r
        )
        self.unanswered = Gauge(
            f"{p}_unanswered_escalations", "Escalations sent and not yet settled", registry=r
        )
        self.verdict_age = Histogram(
            f"{p}_verdict_age_seconds",
            "From the creation of an escalation to its verdict",
            buckets=_VERDICT_S,
            registry=r,
        )
        self.resolutions = Counter(
            f"{p}_resolutions", "Settled escalations", ["outcome"], registry=r
        )
        self.link_up = Gauge(f"{p}_link_up", "1 while the hub client is connected", registry=r)
        self.link_rebuilt = Counter(
            f"{p}_link_rebuilt", "Times the hub client was built anew", ["cause"], registry=r
        )
        self.settings_revision = Gauge(
            f"{p}_settings_revision", "Revision of the settings in use", registry=r
        )
        self.twin_patches = Counter(
            f"{p}_twin_patches", "Desired properties, by result", ["result"], registry=r
        )
        self.worker_crashes = Counter(
            f"{p}_worker_crashes", "Crashes of a worker's job", ["worker"], registry=r
        )

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

    def counts(self, name: str, by: str) -> dict[str, int]:
        """Samples of `name`, added up by one label."""
        counts: dict[str, int] = {}
        for family in self._registry.collect():
            for sample in family.samples:
                if sample.name == name and by in sample.labels:
                    key = sample.labels[by]
                    counts[key] = counts.get(key, 0) + int(sample.value)
        return counts


class _Identified(Collector):
    """A registry whose samples all carry a few labels more."""

    def __init__(self, registry: CollectorRegistry, identity: dict[str, str]) -> None:
        self._registry = registry
        self._identity = identity

    def collect(self) -> Iterable[Metric]:
        """The families of the registry, labelled."""
        for family in self._registry.collect():
            family.samples = [
                sample._replace(labels={**self._identity, **sample.labels})
                for sample in family.samples
            ]
            yield family
