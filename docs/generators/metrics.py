"""docs/reference/metrics.md: every series of /metrics."""

from docs.generators.markdown import page, table

from visionedge.metrics import Metrics

_INTRODUCTION = """
Served as Prometheus text on `/metrics` (`http.host`, `http.port`; in the container
port 9600). Every sample also carries the labels that IoT Edge asks for: `iothub`,
`edge_device`, `module_name` and `instance_number`, which is new at each start. Histograms
have `_bucket`, `_sum` and `_count`. All times are seconds.
"""


def metrics_page() -> str:
    """The page."""
    lines = [
        (f"`{s.name}`", s.kind, ", ".join(f"`{label}`" for label in s.labels), s.meaning)
        for s in Metrics().series()
    ]
    return page(
        "Metrics",
        "modules/visionedge/metrics.py",
        _INTRODUCTION,
        table(("Series", "Kind", "Labels", "What it counts"), lines),
    )
