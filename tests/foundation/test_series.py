"""Counting, by many threads, with labels, and refused where nobody would see it."""

import pytest

from visionedge.runtime.worker import Worker
from visionedge.series import Counter, Gauge, Histogram, Sample

_THREADS = 4
_TIMES = 5000


def test_what_many_threads_count_is_all_there() -> None:
    counter, histogram = Counter("all_total", ("of",)), Histogram("took", (1,), ("of",))

    def count(_: Worker) -> None:
        for _time in range(_TIMES):
            counter.labels("x").inc()
            histogram.labels("x").observe(0.5)

    workers = [Worker(f"count-{number}", count).start() for number in range(_THREADS)]
    assert all(worker.join(60) for worker in workers)
    assert list(counter.samples()) == [Sample("all_total", {"of": "x"}, _THREADS * _TIMES)]
    assert list(histogram.samples())[-1] == Sample("took_sum", {"of": "x"}, 0.5 * _THREADS * _TIMES)


def test_a_bound_belongs_to_what_is_below_it() -> None:
    histogram = Histogram("took_seconds", (0.1, 1))
    for value in (0.1, 0.100001, 1, 7):
        histogram.observe(value)
    buckets = {s.labels["le"]: s.value for s in histogram.samples() if "le" in s.labels}
    assert buckets == {"0.1": 1, "1.0": 3, "+Inf": 4}
    assert [s.value for s in histogram.samples()][-2:] == [4, pytest.approx(8.200001)]


def test_without_labels_there_is_a_sample_from_the_beginning_and_with_labels_none() -> None:
    assert [sample.value for sample in Gauge("now").samples()] == [0]
    assert not list(Gauge("now", ("camera",)).samples())


def test_what_is_forgotten_is_gone_and_comes_back_when_it_is_counted() -> None:
    gauge = Gauge("up", ("camera", "of"))
    gauge.labels("a", "x").set(1)
    gauge.labels("b", "x").set(2)
    gauge.forget("camera", "a")
    assert [sample.labels for sample in gauge.samples()] == [{"camera": "b", "of": "x"}]
    gauge.labels("a", "x").set(3)
    assert [sample.value for sample in gauge.samples()] == [2, 3]


@pytest.mark.parametrize("values", [(), ("a", "b")])
def test_other_labels_than_were_declared_are_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="all_total has the labels"):
        Counter("all_total", ("camera",)).labels(*values)


def test_counting_without_the_labels_that_were_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="ask for `labels`"):
        Counter("all_total", ("camera",)).inc()
    with pytest.raises(ValueError, match="ask for `labels`"):
        Gauge("now", ("camera",)).set(1)
    with pytest.raises(ValueError, match="ask for `labels`"):
        Histogram("took", (1,), ("camera",)).observe(1)


def test_a_counter_never_goes_back() -> None:
    with pytest.raises(ValueError, match="only grows"):
        Counter("all_total").inc(-1)
