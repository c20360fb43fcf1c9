"""What a frame costs beside the model is told after a run of it, and without one."""

from pathlib import Path

from bench.bookkeeping import beside
from bench.context import Context


def test_the_same_frames_are_decided_on_with_and_without_runs_between_them(
    tmp_path: Path,
) -> None:
    context = Context(tmp_path, ("pcb-defects",), pairs=2, blocks=1, patience_s=0, quiet=True)
    after, alone = beside(context, context.subject("pcb-defects")).rows
    assert after.beside_ms > 0
    assert alone.beside_ms > 0
    assert after.bare_ms == alone.bare_ms
