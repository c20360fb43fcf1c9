"""The arithmetic of the benchmarks: pairs, medians, rounds. No test here times anything."""

import pytest
from bench.harness import Patience, Sample, compare, in_rounds, median_interval, repeated
from hypothesis import given
from hypothesis import strategies as st

BASE = "bare"
TIMES = st.lists(st.floats(1e-4, 10), min_size=1, max_size=200)


def same(wall_s: float) -> Sample:
    return Sample(wall_s, wall_s)


def test_a_ratio_is_taken_within_the_round_so_drift_cancels() -> None:
    drifting = [0.010 * (1 + number / 10) for number in range(150)]
    rows = compare(
        {BASE: [same(t) for t in drifting], "ours": [same(t / 0.8) for t in drifting]}, BASE
    )
    assert rows[0].ratio == pytest.approx(1)
    assert rows[1].ratio == pytest.approx(0.8)
    assert rows[1].ratio_low == pytest.approx(0.8)
    assert rows[1].ratio_high == pytest.approx(0.8)
    assert rows[1].rounds == 150


def test_a_few_rounds_that_went_wrong_change_nothing() -> None:
    base = [same(0.010)] * 100
    ours = [same(0.0125)] * 80 + [same(0.5)] * 20
    assert compare({BASE: base, "ours": ours}, BASE)[1].ratio == pytest.approx(0.8)


def test_times_and_cpu_are_told_apart() -> None:
    base = [Sample(wall_s=0.010, cpu_s=0.010)] * 9
    ours = [Sample(wall_s=0.005, cpu_s=0.020)] * 9
    row = compare({BASE: base, "ours": ours}, BASE)[1]
    assert row.frames_per_s == pytest.approx(200)
    assert row.wall_ms == pytest.approx(5)
    assert row.over_base_ms == pytest.approx(-5)
    assert row.cpu_ms == pytest.approx(20)
    assert row.ratio == pytest.approx(2)
    assert row.cpu_ratio == pytest.approx(0.5)


def test_contenders_with_unequal_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare({BASE: [same(1)], "ours": [same(1), same(1)]}, BASE)


@given(TIMES)
def test_the_interval_holds_the_median_and_lies_within_the_values(values: list[float]) -> None:
    median, low, high = median_interval(values)
    assert min(values) <= low <= median <= high <= max(values)


def test_the_interval_narrows_with_more_pairs() -> None:
    few = median_interval(n / 16 for n in range(16))
    many = median_interval(n / 1600 for n in range(1600))
    assert many[2] - many[1] < (few[2] - few[1]) / 5


def test_every_contender_has_one_turn_a_round_in_changing_order() -> None:
    calls: list[str] = []

    def turn(name: str, _: int) -> Sample:
        calls.append(name)
        return same(1)

    names = ("a", "b", "c")
    turns = {name: lambda number, name=name: turn(name, number) for name in names}
    rounds = in_rounds(turns, 20, warm_up=0)
    orders = [tuple(calls[at : at + 3]) for at in range(0, len(calls), 3)]
    assert len(orders) == 20
    assert all(sorted(order) == list(names) for order in orders)
    assert len(set(orders)) > 1
    assert [len(rounds.samples[name]) for name in names] == [20] * 3


def test_samples_of_a_round_stay_together_and_warm_up_is_thrown_away() -> None:
    turns = {
        name: lambda number, factor=factor: same(factor * (number + 1))
        for name, factor in (("a", 1.0), ("b", 2.0))
    }
    ticks: list[None] = []
    rounds = in_rounds(turns, 5, warm_up=3, tick=lambda: ticks.append(None))
    assert [sample.wall_s for sample in rounds.samples["a"]] == [4, 5, 6, 7, 8]
    assert compare(rounds.samples, "a")[1].ratio == pytest.approx(0.5)
    assert len(ticks) == 5


def test_disturbed_rounds_are_repeated_until_patience_ends() -> None:
    patience = Patience(seconds=2.0)
    assert not patience.rejects(others=0.02, took_s=1.0)
    assert not patience.rejects(others=None, took_s=1.0)
    assert patience.rejects(others=0.9, took_s=1.5)
    assert patience.rejects(others=0.9, took_s=1.5)
    assert not patience.rejects(others=0.9, took_s=1.5)


def test_a_repeated_step_runs_at_least_once_and_is_divided_by_its_count() -> None:
    calls: list[None] = []
    sample = repeated(lambda: calls.append(None), 0.0)(0)
    assert len(calls) == 1
    assert sample.wall_s >= 0
