"""What a frame costs beside the model is told after a run of it and without, beside the least."""

from pathlib import Path

from bench.bookkeeping import beside
from bench.context import Context

NAMES = (
    "ours",
    "of it after its decision",
    "least, told in JSON",
    "least, put as it is",
    "least that decides alike",
)


def test_the_same_frames_are_decided_on_with_and_without_runs_between_them(
    tmp_path: Path,
) -> None:
    context = Context(tmp_path, ("pcb-defects",), pairs=2, blocks=1, patience_s=0, quiet=True)
    rows = beside(context, context.subject("pcb-defects")).rows
    took = {row.contender: row.beside_ms for row in rows}
    alone = {name + "; no run between frames" for name in NAMES}
    assert took.keys() == {*NAMES, *alone}
    assert all(each_ms > 0 for each_ms in took.values())
    assert took["of it after its decision"] < took["ours"]
    assert len({row.bare_ms for row in rows}) == 1
