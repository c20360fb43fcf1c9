"""Which settings of doubt would be chosen on lines that `doubt` and `doubt_unseen` do not show.

Four lines of 400 boards. For each pair of `decision.close` and `escalation.second.settles`: what
the rules doubt, which is the work of the second look; what is asked about; and how many of the
errors are caught. Run it again whenever the bundle, the rules or the second look change.

`settles` is the largest that catches 95 % of the errors: that is what is aimed at, and every
question that is not needed for it is one too many. `close` is kept wider than these boards need:
a second look settles most of what it opens, and other models are surer of themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.context import Context
from bench.doubt_orders import by_default
from bench.doubt_sets import Example, detector, line_examples
from bench.report import Column, Report, Table
from visionedge.settings import DecisionSettings

SEEDS: Final = (101, 102, 103, 104)
BOARDS: Final = 400
_CLOSE: Final = (0.3, 0.4, 0.45)
_SETTLES: Final = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


@dataclass(frozen=True, slots=True)
class Row:
    """One pair of settings.

    Attributes:
        close, settles: the settings.
        doubted, asked: of the boards, 0..1.
        caught, wrong: errors that are asked about, and all.
    """

    close: float
    settles: float
    doubted: float
    asked: float
    caught: int
    wrong: int


def run(context: Context) -> Report:
    """Measure every pair of settings."""
    runner = detector().runner()
    examples = [e for seed in SEEDS for e in line_examples(context, runner, seed, BOARDS)]
    return Report("doubt_tuning", [tuned(examples)])


def tuned(examples: Sequence[Example]) -> Table:
    """Every pair of settings on the same boards."""
    rows = [_row(examples, close, settles) for close in _CLOSE for settles in _SETTLES]
    title = f"lines {', '.join(map(str, SEEDS))}: {len(examples)} boards, {rows[0].wrong} wrong"
    return Table(title, rows, _COLUMNS)


def _row(examples: Sequence[Example], close: float, settles: float) -> Row:
    found = by_default(examples, DecisionSettings(close=close), settles)
    return Row(
        close=close,
        settles=settles,
        doubted=float(found.doubted.mean()),
        asked=float(found.asked.mean()),
        caught=sum(e.wrong for e, asked in zip(examples, found.asked, strict=True) if asked),
        wrong=sum(e.wrong for e in examples),
    )


_COLUMNS: Final = (
    Column("close", lambda row: f"{row.close:g}"),
    Column("settles", lambda row: f"{row.settles:g}"),
    Column("doubted", lambda row: f"{100 * row.doubted:.1f} %"),
    Column("asked", lambda row: f"{100 * row.asked:.1f} %"),
    Column("caught", lambda row: f"{row.caught}"),
    Column("of the errors", lambda row: f"{100 * row.caught / row.wrong:.1f} %"),
)
