"""The page of metrics, read back by Prometheus' own parser."""

from prometheus_client.parser import text_string_to_metric_families

from visionedge.metrics import CONTENT_TYPE, Metrics

IDENTITY = {"iothub": "hub", "edge_device": "line", "module_name": "vision", "instance_number": "1"}


def busy() -> Metrics:
    """Metrics on which every series has a sample."""
    metrics = Metrics(IDENTITY)
    for series in metrics.series():
        metric = getattr(metrics, ATTRIBUTES[series.name])
        child = (
            metric.labels(*(f"a {label}" for label in series.labels)) if series.labels else metric
        )
        if series.kind == "counter":
            child.inc()
        elif series.kind == "gauge":
            child.set(2)
        else:
            child.observe(0.007)
    return metrics


def attributes() -> dict[str, str]:
    """Name of each series to the attribute that holds it."""
    metrics = Metrics()
    described = {
        family.name: name
        for name, value in vars(metrics).items()
        if hasattr(value, "describe")
        for family in value.describe()
    }
    return {s.name: described[s.name.removesuffix("_total")] for s in metrics.series()}


ATTRIBUTES = attributes()


def test_every_series_that_is_declared_is_on_the_page_with_its_meaning() -> None:
    families = {f.name: f for f in text_string_to_metric_families(busy().page().decode())}
    for series in Metrics().series():
        family = families.pop(series.name.removesuffix("_total"))
        assert family.type == series.kind
        assert family.documentation == series.meaning
        assert family.samples
    assert not families


def test_every_sample_carries_the_identity_of_the_module() -> None:
    samples = [
        sample
        for family in text_string_to_metric_families(busy().page().decode())
        for sample in family.samples
    ]
    assert len(samples) > 50
    assert [s.name for s in samples if not IDENTITY.items() <= s.labels.items()] == []


def test_every_sample_has_the_labels_that_are_declared_for_it() -> None:
    declared = {s.name.removesuffix("_total"): {*s.labels} for s in Metrics().series()}
    for family in text_string_to_metric_families(busy().page().decode()):
        for sample in family.samples:
            assert sample.labels.keys() - IDENTITY.keys() - {"le"} == declared[family.name]


def test_the_page_is_plain_text_without_what_the_collector_cannot_read() -> None:
    page = busy().page().decode()
    assert "# EOF" not in page
    assert "_created" not in page
    assert " # {" not in page
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
    assert not [line for line in page.splitlines() if line.endswith(("+Inf", "NaN"))]


def test_a_label_from_outside_cannot_break_the_page() -> None:
    metrics = Metrics(IDENTITY)
    metrics.frames_captured.labels('a"} 1\nevil 2\\').inc()
    families = list(text_string_to_metric_families(metrics.page().decode()))
    assert not [f for f in families if f.name == "evil"]
    values = [s.labels["camera"] for f in families for s in f.samples if "camera" in s.labels]
    assert values == ['a"} 1\nevil 2\\']


def test_two_modules_in_one_process_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.frames_captured.labels("line-1").inc()
    assert first.value("visionedge_frames_captured_total") == 1
    assert second.value("visionedge_frames_captured_total") == 0


def test_values_are_summed_over_the_labels_that_are_not_asked_for() -> None:
    metrics = Metrics()
    metrics.frames_dropped.labels("a", "replaced").inc(2)
    metrics.frames_dropped.labels("b", "replaced").inc(3)
    metrics.frames_dropped.labels("b", "stale").inc(5)
    name = "visionedge_frames_dropped_total"
    assert metrics.value(name) == 10
    assert metrics.value(name, {"camera": "b"}) == 8
    assert metrics.value(name, {"camera": "b", "cause": "stale"}) == 5
    assert metrics.value(name, {"camera": "none"}) == 0
    assert metrics.counts(name, by="cause") == {"replaced": 5, "stale": 5}


def test_names_follow_the_conventions_of_prometheus() -> None:
    for series in Metrics().series():
        assert series.name.startswith("visionedge_")
        assert series.name.endswith("_total") == (series.kind == "counter")
        assert not {"_ms", "_ns"} & {series.name[-3:]}
