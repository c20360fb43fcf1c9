"""How right edge and cloud are together, for each share of the frames that is asked about.

For each set of labelled pictures a model says what it sees, a rule of doubt puts them into an
order, and the first of them are asked about: a right answer is taken for granted there.
What is left is the share of pictures whose local word is wrong. Asking at random falls on a
straight line; an oracle asks about the wrong ones first. A rule is as good as it is nearer
to the oracle. Baselines are random order and the widely used least max confidence.

The notes of each table say whether the default is above a baseline at any share, and how many
of the errors it catches that an oracle would catch with as many questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench import doubt_plot
from bench.context import Context
from bench.doubt_curves import Scores, above, caught, error_left, interval, surely_above
from bench.doubt_orders import DEFAULT, MAX_CONFIDENCE, ORACLE, RANDOM, all_orders, by_default
from bench.doubt_sets import Example, sets
from bench.report import Column, Report, Table, Unavailable


@dataclass(frozen=True, slots=True)
class Row:
    """One order of one set.

    Attributes:
        policy: whose order.
        area: mean error over all shares, 0..1.
        caught: of the oracle's errors with as many questions as the default asks, 0..1.
        at: error left at 5, 10, 20 and 50 % asked.
        above_random, above_max: shares, in %, at which it leaves more than the baseline.
    """

    policy: str
    area: float
    caught: float
    at: tuple[float, float, float, float]
    above_random: list[int]
    above_max: list[int]


def run(context: Context) -> Report:
    """Measure all sets that are on this machine."""
    tables, skipped, panels = [], [], []
    for name, make in sets(context).items():
        try:
            table, panel = measured(name, make())
        except Unavailable as error:
            skipped.append(f"{name}: {error}")
            continue
        tables.append(table)
        panels.append(panel)
    if panels:
        doubt_plot.save(panels)
    return Report("doubt", tables, skipped)


def measured(name: str, examples: Sequence[Example]) -> tuple[Table, doubt_plot.Panel]:
    """All orders of one set, as a table and as curves."""
    wrong = np.array([example.wrong for example in examples], dtype=np.float64)
    default = by_default(examples)
    orders = all_orders(examples, default)
    curves = {policy: error_left(scores, wrong) for policy, scores in orders.items()}
    questions = int(default.asked.sum())
    possible = caught(orders[ORACLE], wrong)[questions]
    rows = [
        Row(
            policy=policy,
            area=float(curve.mean()),
            caught=float(caught(orders[policy], wrong)[questions] / possible) if possible else 1.0,
            at=(float(curve[5]), float(curve[10]), float(curve[20]), float(curve[50])),
            above_random=above(curve, curves[RANDOM]),
            above_max=above(curve, curves[MAX_CONFIDENCE]),
        )
        for policy, curve in curves.items()
    ]
    share = questions / len(examples)
    title = (
        f"{name}: {len(examples)} pictures, {100 * wrong.mean():.1f} % wrong by itself; the rules "
        f"doubt {100 * default.doubted.mean():.1f} %, the default asks about {100 * share:.1f} %"
    )
    found = int((wrong * default.asked).sum())
    notes = [
        _NOTE,
        *(
            _beats(orders[DEFAULT], orders[other], wrong, other)
            for other in (RANDOM, MAX_CONFIDENCE)
        ),
        share_of_oracle(found, round(possible)),
    ]
    return Table(title, rows, _COLUMNS, notes), doubt_plot.Panel(name, curves, share)


def share_of_oracle(found: int, possible: int) -> str:
    """What the default catches, in words."""
    low, high = interval(found, possible)
    return (
        f"default: {found} of the {possible} errors that an oracle catches with as many questions, "
        f"{_percent(found / possible if possible else 1)} ({_percent(low)} to {_percent(high)})"
    )


def _beats(one: Scores, other: Scores, wrong: Scores, name: str) -> str:
    lines = error_left(one, wrong), error_left(other, wrong)
    worse, better = above(*lines), above(*reversed(lines))
    if not worse:
        return f"default: above {name} at no share, below it at {len(better)} of 101"
    sure = surely_above(one, other, wrong)
    return (
        f"default: above {name} at {worse} % asked, below it at {len(better)} of 101; more than "
        f"chance explains at {f'{sure} %' if sure else 'no share'}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _yes(shares: Sequence[int]) -> str:
    return f"no, {len(shares)}" if shares else "yes"


_COLUMNS: Final = (
    Column("order", lambda row: str(row.policy)),
    Column("area", lambda row: f"{100 * row.area:.2f}"),
    Column("caught", lambda row: f"{100 * row.caught:.0f} %"),
    *(
        Column(f"at {share} %", lambda row, i=i: f"{100 * row.at[i]:.2f}")  # type: ignore[misc] # a default binds i
        for i, share in enumerate((5, 10, 20, 50))
    ),
    Column("< random", lambda row: _yes(row.above_random)),
    Column("< max conf", lambda row: _yes(row.above_max)),
)
_NOTE: Final = (
    "area: mean error over all shares, in %; caught: errors caught with as many questions as the "
    "default asks, as a share of the oracle's; at: error left, in %; <: above the baseline at no "
    "share, or at how many of 101"
)
