"""The arithmetic of the benchmarks: pairs, medians, rounds. No test here times anything."""

from functools import partial

import pytest
from bench.harness import (
    Round,
    Rounds,
    Row,
    Sample,
    Turn,
    compare,
    in_rounds,
    median_interval,
    quietest,
    repeated,
)
from hypothesis import given
from hypothesis import strategies as st

BASE = "bare"
TIMES = st.lists(st.floats(1e-4, 10), min_size=1, max_size=200)


def same(wall_s: float) -> Sample:
    return Sample(wall_s, wall_s)


def against(base: list[Sample], ours: list[Sample]) -> Row:
    """The row of ours."""
    pairs = zip(base, ours, strict=True)
    bare, row = compare(Rounds([Round({BASE: b, "ours": o}) for b, o in pairs]), BASE)
    assert (bare.contender, row.contender) == (BASE, "ours")
    assert (bare.ratio, bare.cpu_ratio, bare.over_base_ms) == (1, 1, 0)
    return row


def test_a_ratio_is_taken_within_the_round_so_drift_cancels() -> None:
    drifting = [0.010 * (1 + number / 10) for number in range(150)]
    row = against([same(t) for t in drifting], [same(t / 0.8) for t in drifting])
    assert row.ratio == pytest.approx(0.8)
    assert row.ratio_low == pytest.approx(0.8)
    assert row.ratio_high == pytest.approx(0.8)
    assert row.rounds == 150


def test_a_few_rounds_that_went_wrong_change_nothing() -> None:
    ours = [same(0.0125)] * 80 + [same(0.5)] * 20
    assert against([same(0.010)] * 100, ours).ratio == pytest.approx(0.8)


def test_times_and_cpu_are_told_apart() -> None:
    row = against([Sample(wall_s=0.010, cpu_s=0.010)] * 9, [Sample(wall_s=0.005, cpu_s=0.020)] * 9)
    assert row.frames_per_s == pytest.approx(200)
    assert row.wall_ms == pytest.approx(5)
    assert row.over_base_ms == pytest.approx(-5)
    assert row.cpu_ms == pytest.approx(20)
    assert row.ratio == pytest.approx(2)
    assert row.cpu_ratio == pytest.approx(0.5)


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
    rounds = in_rounds({name: partial(turn, name) for name in names}, 20, warm_up=0)
    orders = [tuple(calls[at : at + 3]) for at in range(0, len(calls), 3)]
    assert len(orders) == len(rounds.kept) == 20
    assert all(sorted(order) == list(names) for order in orders)
    assert len(set(orders)) > 1
    assert [row.contender for row in compare(rounds, "b")] == list(names)


def test_samples_of_a_round_stay_together_and_warm_up_is_thrown_away() -> None:
    turns: dict[str, Turn] = {
        "a": lambda number: same(number + 1),
        "b": lambda number: same(2 * (number + 1)),
    }
    ticks: list[None] = []
    rounds = in_rounds(turns, 5, warm_up=3, tick=lambda: ticks.append(None))
    assert [each.samples["a"].wall_s for each in rounds.kept] == [4, 5, 6, 7, 8]
    assert compare(rounds, "a")[1].ratio == pytest.approx(0.5)
    assert len(ticks) == 5


def test_the_quietest_rounds_are_kept_in_their_order() -> None:
    shares = [0.9, 0.1, None, 0.3, 0.8, 0.2]
    taken = [Round({BASE: same(number)}, share) for number, share in enumerate(shares)]
    rounds = quietest(taken, 4)
    assert [each.samples[BASE].wall_s for each in rounds.kept] == [1, 2, 3, 5]
    assert rounds.left_out == 2
    assert "20%" in rounds.disturbance
    assert "4 of 6" in rounds.disturbance


def test_a_machine_that_does_not_tell_its_load_is_said_to_be_unknown() -> None:
    assert "unknown" in quietest([Round({BASE: same(1)})], 1).disturbance


def test_a_repeated_step_runs_at_least_once_and_is_divided_by_its_count() -> None:
    calls: list[None] = []
    sample = repeated(lambda: calls.append(None), 0.0)(0)
    assert len(calls) == 1
    assert sample.wall_s >= 0
