"""What the benchmark of a change of the model makes of its stamps."""

from pathlib import Path

import pytest
from bench.context import Context
from bench.swap import Stamp, Swap, phases, quietest, run

MS = 1_000_000


def stamps(*latencies_ms: int, first: int, revision: int, at_ms: int) -> list[Stamp]:
    return [
        Stamp(first + n, revision, (at_ms + 10 * n) * MS, latency_ms / 1e3)
        for n, latency_ms in enumerate(latencies_ms)
    ]


def test_frames_are_told_apart_by_what_happened_and_compared_with_the_steady_ones() -> None:
    before = stamps(*[20] * 8, first=0, revision=1, at_ms=0)
    preparing = stamps(20, 50, first=8, revision=1, at_ms=100)
    after = stamps(*[30, 20, 20, 20, 20, 20, 20, 20], first=11, revision=2, at_ms=200)
    swap = Swap(began_ns=95 * MS, ready_ns=150 * MS, revision=2)
    steady, busy, proving, switch = phases([*before, *preparing, *after], [swap], inference_s=0.01)
    assert (steady.name, steady.frames, steady.lost) == ("steady", 12, 0)
    assert (steady.late, steady.typically_late) == (0, 0)
    assert (busy.name, busy.frames) == ("preparing", 2)
    assert busy.late == pytest.approx(3)
    assert (steady.beyond, busy.beyond) == (0, 0.5)
    assert (proving.name, proving.frames) == ("proving", 0)
    assert (switch.name, switch.frames) == ("switch", 4)
    assert switch.late == pytest.approx(1)
    # Frame 10 was never decided on, right before the first of the new model.
    assert switch.lost == 1


def test_a_bundle_that_the_device_never_saw_is_told_apart() -> None:
    before = stamps(*[20] * 8, first=0, revision=1, at_ms=0)
    loading = stamps(20, 40, first=8, revision=1, at_ms=100)
    swap = Swap(began_ns=95 * MS, ready_ns=150 * MS, revision=2, is_new=True)
    _, preparing, proving, _ = phases([*before, *loading], [swap], inference_s=0.01)
    assert preparing.frames == 0
    assert proving.frames == 2
    assert proving.late == pytest.approx(2)


def test_a_change_that_others_disturbed_is_left_out_with_the_seconds_around_it() -> None:
    quiet = Swap(began_ns=95 * MS, ready_ns=150 * MS, revision=2, others=0.0)
    busy = Swap(began_ns=5_000 * MS, ready_ns=5_050 * MS, revision=3, others=0.9)
    kept = quietest([quiet, busy], 1)
    assert kept == [quiet]
    disturbed = stamps(*[90] * 8, first=8, revision=2, at_ms=4_950)
    steady, preparing, *_ = phases(
        [*stamps(*[20] * 8, first=0, revision=1, at_ms=0), *disturbed], kept, inference_s=0.01
    )
    assert (steady.frames, steady.worst_ms) == (8, 20)
    assert preparing.frames == 0


@pytest.mark.slow
def test_a_line_is_measured_over_a_change(tmp_path: Path) -> None:
    context = Context(tmp_path, ("pcb-defects",), pairs=1, blocks=1, patience_s=0, quiet=True)
    (table,) = run(context).tables
    assert [row.name for row in table.rows] == ["steady", "preparing", "proving", "switch"]
    assert all(row.frames for row in table.rows)
    assert "late" in str(table)
