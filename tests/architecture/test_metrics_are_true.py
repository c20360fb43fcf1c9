"""Every series has its line in the reference, and somebody who counts it.

An alert is written from that page; one on a series that nothing moves would never ring.
"""

import ast
from collections.abc import Iterable

from tests.architecture.sources import ROOT, Fault, Source, snippet, visionedge

from visionedge.metrics import Metrics

_HOME = "visionedge.metrics"


def undocumented_series(names: list[str], page: str) -> list[Fault]:
    """Series that the page does not name."""
    path = "docs/reference/metrics.md"
    return [Fault(path, 1, f"`{name}` is missing") for name in names if f"`{name}`" not in page]


def uncounted(attributes: set[str], files: Iterable[Source]) -> list[Fault]:
    """Attributes of `Metrics` that no other file touches."""
    touched = {
        node.attr
        for source in files
        if source.module != _HOME
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
    }
    path = "modules/visionedge/metrics.py"
    return [Fault(path, 1, f"nothing counts `{name}`") for name in sorted(attributes - touched)]


def test_every_metric_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    names = [series.name for series in Metrics().series()]
    assert len(names) > 10
    faults = undocumented_series(names, page)
    assert not faults, "run `make generate`:\n" + "\n".join(map(str, faults))


def test_every_metric_is_counted_by_somebody() -> None:
    attributes = {name for name in vars(Metrics()) if not name.startswith("_")}
    assert len(attributes) == len(Metrics().series())
    faults = uncounted(attributes, visionedge())
    assert not faults, "count it, or take it away:\n" + "\n".join(map(str, faults))


def test_a_missing_line_and_a_series_that_nobody_counts_are_found() -> None:
    assert undocumented_series(["visionedge_new_total"], "`visionedge_old_total`")
    counting = snippet("visionedge.pipeline", "metrics.sent.inc()")
    assert [fault.what for fault in uncounted({"sent", "lost"}, [counting])] == [
        "nothing counts `lost`"
    ]
