"""Measure contenders against each other on a machine that is never quiet.

Each round gives every contender one turn, in random order, and contenders are compared
within the round: the median of the ratios of pairs stays within a few percent where the
times themselves drift by half (measured, while other work took both cores). So a figure
is a ratio to the base of the same run; times are printed only to give it a scale.

CPU time is that of the whole process, so a contender's own threads count. A thread pool
that spins after its run would be charged to whoever has the next turn: `settle` waits
until the process is idle. A round in which others took much of the machine is thrown
away and repeated, as long as there is `Patience` left.

What this does not promise: that a ratio holds on another kind of machine; and a contender
with more threads than the base gets a larger share of a machine that others use, so
compare such ones by CPU time too.
"""

import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.load import Load

Turn = Callable[[int], "Sample"]
"""One turn of a contender in round `n`; what it took, a frame."""
_IDLE_SHARE: Final = 0.1
_LOOK_S: Final = 0.01
_SETTLE_S: Final = 0.5
_BUSY_SHARE: Final = 0.15
"""Of the whole machine: from here on others slow a contender down, and not all alike."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one frame took, seconds: on the clock, and of CPU in all threads."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was measured.

    Attributes:
        samples: by contender; the n-th of each is from the same round.
        others: share of the machine that others used in each of them; empty if unknown.
        repeated: how many rounds were thrown away.
    """

    samples: Mapping[str, Sequence[Sample]]
    others: Sequence[float] = ()
    repeated: int = 0

    @property
    def disturbance(self) -> str:
        """How far to trust absolute times, in words."""
        if not self.others:
            return "how busy others kept the machine is unknown"
        share = f"others used {statistics.fmean(self.others):.0%} of the machine"
        return f"{share}; {self.repeated} busier rounds repeated" if self.repeated else share


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


class Patience:
    """How long may be spent on rounds that are thrown away, for one table.

    Args:
        seconds: of them together.
    """

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds

    def rejects(self, others: float | None, took_s: float) -> bool:
        """True, and the time is used up, for a round to be repeated.

        Args:
            others: share of the machine that others used in the round; None if unknown.
            took_s: length of the round.
        """
        if others is None or others < _BUSY_SHARE or self._left_s <= 0:
            return False
        self._left_s -= took_s
        return True


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


def settle() -> None:
    """Wait until this process uses no CPU, at most half a second."""
    deadline = time.perf_counter() + _SETTLE_S
    while time.perf_counter() < deadline:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        time.sleep(_LOOK_S)
        if time.process_time() - cpu_s < _IDLE_SHARE * (time.perf_counter() - wall_s):
            return


def in_rounds(
    turns: Mapping[str, Turn],
    rounds: int,
    *,
    seed: int = 1,
    warm_up: int = 2,
    patience: Patience | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Rounds:
    """Give every contender one turn a round, in an order that is new in each.

    Args:
        turns: by contender.
        rounds: that are kept.
        seed: of the order.
        warm_up: rounds before them that are thrown away.
        patience: for rounds that others disturbed; None keeps every round.
        tick: called after each round that is kept.
    """
    order = list(turns)
    shuffle = random.Random(seed).shuffle
    samples: dict[str, list[Sample]] = {name: [] for name in turns}
    shares: list[float | None] = []
    repeated = 0
    for number in itertools.count():
        shuffle(order)
        load = Load()
        taken = {name: turns[name](number) for name in order}
        others = load.others()
        if number < warm_up:
            continue
        if patience and patience.rejects(others, load.wall_s):
            repeated += 1
            continue
        for name, sample in taken.items():
            samples[name].append(sample)
        shares.append(others)
        tick()
        if len(shares) == rounds:
            break
    return Rounds(samples, [share for share in shares if share is not None], repeated)


def compare(samples: Mapping[str, Sequence[Sample]], base: str) -> list[Row]:
    """Every contender against `base`, in the given order."""
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
