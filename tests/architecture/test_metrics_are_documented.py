"""Every series has its line in the reference: an alert is written from that page."""

from tests.architecture.sources import ROOT, Fault

from visionedge.metrics import Metrics


def undocumented_series(names: list[str], page: str) -> list[Fault]:
    """Series that the page does not name."""
    path = "docs/reference/metrics.md"
    return [Fault(path, 1, f"`{name}` is missing") for name in names if f"`{name}`" not in page]


def test_every_metric_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    names = [series.name for series in Metrics().series()]
    assert len(names) > 10
    faults = undocumented_series(names, page)
    assert not faults, "run `make generate`:\n" + "\n".join(map(str, faults))


def test_a_missing_metric_is_found() -> None:
    assert undocumented_series(["visionedge_new_total"], "`visionedge_old_total`")
