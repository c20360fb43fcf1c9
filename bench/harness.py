"""Measure contenders against each other on a machine that is never quiet.

Each round gives every contender one turn, in random order, and contenders are compared
within the round: the median of the ratios of pairs stays within a few percent where the
times themselves drift by half (measured, while other work took both cores). So a figure
is a ratio to the base of the same run; times are printed only to give it a scale.

CPU time is that of the whole process, so a contender's own threads count. A thread pool
that spins after its run would be charged to whoever has the next turn: `settle` waits
until the process is idle. While others take much of the machine, more rounds are
measured than asked for, and the quietest are kept.

What this does not promise: that a ratio holds on another kind of machine; and a contender
with more threads than the base gets a larger share of a machine that others use, so
compare such ones by CPU time too.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.load import Load
from visionedge.evaluation.tuning import settle

Turn = Callable[[int], "Sample"]
"""One turn of a contender in round `n`; what it took, a frame."""
BUSY_SHARE: Final = 0.15
"""Of the whole machine: from here on others slow a contender down, and not all alike."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one frame took, seconds: on the clock, and of CPU in all threads."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of each contender.

    Attributes:
        samples: by contender.
        others: share of the machine that others used meanwhile, 0..1; None if unknown.
    """

    samples: Mapping[str, Sample]
    others: float | None = None

    @property
    def busy_share(self) -> float:
        """`others`, and 0 where it is unknown."""
        return self.others or 0.0


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was measured.

    Attributes:
        kept: the quietest rounds.
        left_out: how many others were measured.
    """

    kept: Sequence[Round]
    left_out: int = 0

    @property
    def disturbance(self) -> str:
        """How far to trust absolute times, in words."""
        shares = [each.others for each in self.kept if each.others is not None]
        if not shares:
            return "how busy others kept the machine is unknown"
        text = f"others used {statistics.fmean(shares):.0%} of the machine"
        return (
            f"{text}, in the quietest {len(self.kept)} of {len(self.kept) + self.left_out} rounds"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One contender against the base.

    Attributes:
        contender: its name.
        frames_per_s: by the median of its times.
        wall_ms: median, a frame.
        over_base_ms: median of what it took more than the base in the same round.
        cpu_ms: median, a frame.
        ratio: median of the base's time to its own: 1 is as fast as the base.
        ratio_low: lower end of the 95 % interval of that median.
        ratio_high: upper end.
        cpu_ratio: median of the base's CPU time to its own.
        rounds: how many pairs.
    """

    contender: str
    frames_per_s: float
    wall_ms: float
    over_base_ms: float
    cpu_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    cpu_ratio: float
    rounds: int


def timed(step: Callable[[int], object]) -> Turn:
    """A turn that is one call of `step`."""

    def turn(number: int) -> Sample:
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        step(number)
        wall_s = (time.perf_counter_ns() - wall_ns) / 1e9
        return Sample(wall_s, (time.process_time_ns() - cpu_ns) / 1e9)

    return turn


def repeated(step: Callable[[], object], seconds: float) -> Turn:
    """A turn that calls `step` until `seconds` are over, at least once."""

    def turn(_: int) -> Sample:
        count = 0
        cpu_s, began = time.process_time(), time.perf_counter()
        while (wall_s := time.perf_counter() - began) < seconds or not count:
            step()
            count += 1
        return Sample(wall_s / count, (time.process_time() - cpu_s) / count)

    return turn


def settled(turn: Turn) -> Turn:
    """The same turn, followed by a wait until its threads have stopped spinning."""

    def then_settle(number: int) -> Sample:
        sample = turn(number)
        settle()
        return sample

    return then_settle


def in_rounds(
    turns: Mapping[str, Turn],
    rounds: int,
    *,
    seed: int = 1,
    warm_up: int = 2,
    patience_s: float = 0.0,
    tick: Callable[[], object] = lambda: None,
) -> Rounds:
    """Give every contender one turn a round, in an order that is new in each.

    Args:
        turns: by contender.
        rounds: that are kept.
        seed: of the order.
        warm_up: rounds before them that are thrown away.
        patience_s: how much longer to go on while fewer than `rounds` were quiet.
        tick: called after each round until there are enough.
    """
    shuffle = random.Random(seed).shuffle
    for number in range(warm_up):
        _round(turns, list(turns), number)
    taken: list[Round] = []
    deadline = math.inf
    while time.perf_counter() < deadline:
        order = list(turns)
        shuffle(order)
        taken.append(_round(turns, order, warm_up + len(taken)))
        if len(taken) <= rounds:
            tick()
        if len(taken) == rounds:
            deadline = time.perf_counter() + patience_s
        if sum(each.busy_share < BUSY_SHARE for each in taken) >= rounds:
            break
    return quietest(taken, rounds)


def _round(turns: Mapping[str, Turn], order: Sequence[str], number: int) -> Round:
    load = Load()
    taken = {name: turns[name](number) for name in order}
    return Round({name: taken[name] for name in turns}, load.others())


def quietest(taken: Sequence[Round], count: int) -> Rounds:
    """The `count` rounds in which others did least, in the order in which they were measured."""
    by_share = sorted(range(len(taken)), key=lambda number: taken[number].busy_share)
    kept = sorted(by_share[:count])
    return Rounds([taken[number] for number in kept], len(taken) - len(kept))


def compare(rounds: Rounds, base: str) -> list[Row]:
    """Every contender against `base`, in the order of the turns."""
    names = rounds.kept[0].samples
    samples = {name: [each.samples[name] for each in rounds.kept] for name in names}
    return [_row(name, own, samples[base]) for name, own in samples.items()]


def median_interval(values: Iterable[float]) -> tuple[float, float, float]:
    """The median, and the ends of its 95 % interval.

    The interval is by rank and assumes no distribution: the number of values below the
    true median is binomial, near enough n/2 with a deviation of half the root of n.
    """
    ordered = sorted(values)
    n = len(ordered)
    reach = 0.98 * math.sqrt(n)
    low = max(0, math.floor(n / 2 - reach))
    high = min(n - 1, math.ceil(n / 2 + reach))
    return statistics.median(ordered), ordered[low], ordered[high]


def _row(name: str, own: Sequence[Sample], base: Sequence[Sample]) -> Row:
    pairs = list(zip(base, own, strict=True))
    ratio, low, high = median_interval(b.wall_s / o.wall_s for b, o in pairs)
    wall_s = statistics.median(sample.wall_s for sample in own)
    return Row(
        contender=name,
        frames_per_s=1 / wall_s,
        wall_ms=wall_s * 1e3,
        over_base_ms=statistics.median(o.wall_s - b.wall_s for b, o in pairs) * 1e3,
        cpu_ms=statistics.median(sample.cpu_s for sample in own) * 1e3,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        cpu_ratio=statistics.median(b.cpu_s / o.cpu_s for b, o in pairs),
        rounds=len(pairs),
    )
