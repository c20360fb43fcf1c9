"""`doubt` on more lines than settings were tuned on: how far a figure of 600 boards reaches.

A model as good as this one is wrong about some thirty of 600 boards, and a share of thirty is
uncertain by ten percent. Here are 3000: the line that `doubt` shows, and four others. What was
learned from misses on some of them is told in docs/explanation/doubt.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.context import Context
from bench.doubt import measured
from bench.doubt_orders import by_default
from bench.doubt_sets import BOARDS, LINE_SEED, Example, detector, line_examples
from bench.report import Column, Report, Table

SEEDS: Final = (LINE_SEED, 201, 202, 203, 204)


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        line: its seed.
        boards, wrong, asked, caught: how many.
    """

    line: int
    boards: int
    wrong: int
    asked: int
    caught: int


def run(context: Context) -> Report:
    """Measure all lines, each and together."""
    runner = detector().runner()
    lines = {seed: line_examples(context, runner, seed, BOARDS) for seed in SEEDS}
    return Report("doubt_unseen", tables(lines))


def tables(lines: dict[int, list[Example]]) -> list[Table]:
    """All orders on all boards together, and what the default does on each line."""
    together, _ = measured("lines together", [e for line in lines.values() for e in line])
    rows = [_row(seed, examples) for seed, examples in lines.items()]
    return [Table("each line", rows, _COLUMNS), together]


def _row(seed: int, examples: Sequence[Example]) -> Row:
    asked = by_default(examples).asked
    return Row(
        line=seed,
        boards=len(examples),
        wrong=sum(e.wrong for e in examples),
        asked=int(asked.sum()),
        caught=sum(e.wrong for e, is_asked in zip(examples, asked, strict=True) if is_asked),
    )


_COLUMNS: Final = (
    Column("line", lambda row: str(row.line)),
    Column("boards", lambda row: str(row.boards)),
    Column("wrong", lambda row: str(row.wrong)),
    Column("asked", lambda row: str(row.asked)),
    Column("caught", lambda row: str(row.caught)),
)
