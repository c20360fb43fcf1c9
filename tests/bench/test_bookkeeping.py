"""What a frame costs beside the model is told after a run of it and without, beside the least."""

from pathlib import Path

from bench.bookkeeping import beside
from bench.context import Context


def test_the_same_frames_are_decided_on_with_and_without_runs_between_them(
    tmp_path: Path,
) -> None:
    context = Context(tmp_path, ("pcb-defects",), pairs=2, blocks=1, patience_s=0, quiet=True)
    rows = beside(context, context.subject("pcb-defects")).rows
    names = [row.contender for row in rows]
    assert len(set(names)) == len(names) == 6
    assert sum(name.startswith("ours") for name in names) == 2
    assert all(row.beside_ms > 0 for row in rows)
    assert len({row.bare_ms for row in rows}) == 1
