"""What the benchmark of a change of the model makes of its stamps."""

from pathlib import Path

import pytest
from bench.context import Context
from bench.swap import Stamp, Swap, phases, run

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
    steady, busy, switch = phases([*before, *preparing, *after], [swap], inference_s=0.01)
    assert (steady.name, steady.frames, steady.lost) == ("steady", 12, 0)
    assert (steady.late, steady.typically_late) == (0, 0)
    assert (busy.name, busy.frames) == ("preparing", 2)
    assert busy.late == pytest.approx(3)
    assert (switch.name, switch.frames) == ("switch", 4)
    assert switch.late == pytest.approx(1)
    # Frame 10 was never decided on, right before the first of the new model.
    assert switch.lost == 1


@pytest.mark.slow
def test_a_line_is_measured_over_a_change(tmp_path: Path) -> None:
    context = Context(tmp_path, ("pcb-defects",), pairs=1, blocks=1, patience_s=0, quiet=True)
    (table,) = run(context).tables
    assert [row.name for row in table.rows] == ["steady", "preparing", "switch"]
    assert all(row.frames for row in table.rows)
    assert "late" in str(table)
