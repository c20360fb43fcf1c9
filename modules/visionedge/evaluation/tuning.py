"""Measure ways to run a model on this device against each other, and pick one.

A time says little on a device that does other things too: it drifts by half within seconds.
So all ways get one short turn a round, in random order, and each is compared with the first
of them within the round; what counts is the median of these ratios. Ways that are clearly
worse than the best so far are dropped early, which leaves the time to those that are close.

CPU time is that of the whole process, so spinning threads are charged for what they burn;
between two turns there is a pause until they have stopped.
"""

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from statistics import median
from typing import Final, Literal

from visionedge.entities import Image
from visionedge.errors import ModelRunError
from visionedge.inference.model import LoadedModel
from visionedge.inference.runner import Runner
from visionedge.runtime.worker import Worker

Goal = Literal["throughput", "latency", "cpu"]
TURN_S: Final = 0.25
_LEAST_RUNS: Final = 8
"""A turn takes as many, so that the last one, which only some workers have, hardly counts."""
LEAST_ROUNDS: Final = 9
_DROP_AFTER: Final = 4
_DROP_BELOW: Final = 0.85
"""Of the best: two ways that differ by less may change places with more rounds."""
_TIE: Final = 0.01
_SETTLE_S: Final = 0.3
_LOOK_S: Final = 0.005
_IDLE_SHARE: Final = 0.1
_STOP_S: Final = 30.0
_PERCENTILE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run one file.

    Attributes:
        name: of the file, or of what is special about it.
        provider: execution provider.
        workers: runs at once.
        threads: of one run.
        spin: whether they wait busily.
        path: of the file, where it is another than the present one.
    """

    name: str
    provider: str
    workers: int
    threads: int
    spin: bool
    path: str = ""

    def __str__(self) -> str:
        spin = ", spinning" if self.spin else ""
        return (
            f"{self.name}, {self.workers} worker{'s' * (self.workers > 1)} x "
            f"{self.threads} thread{'s' * (self.threads > 1)}{spin}"
            + ("" if self.provider == "CPUExecutionProvider" else f", {self.provider}")
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of a way gave, a frame: seconds between results, of a run, and of CPU."""

    frame_s: float
    latency_s: float
    tail_s: float
    cpu_s: float


@dataclass(slots=True)
class Measured:
    """A way and all its turns so far."""

    way: Way
    turns: list[Turn] = field(default_factory=list)
    dropped: bool = False

    def median(self, name: str) -> float:
        """Of one field of the turns."""
        return float(median(getattr(turn, name) for turn in self.turns))

    def gain(self, base: "Measured", goal: Goal) -> float:
        """How many times as good as the base, turn by turn of the same rounds."""
        name = _FIELD[goal]
        return float(
            median(
                getattr(theirs, name) / getattr(own, name)
                for own, theirs in zip(self.turns, base.turns, strict=False)
            )
        )


_FIELD: Final[dict[Goal, str]] = {
    "throughput": "frame_s",
    "latency": "latency_s",
    "cpu": "cpu_s",
}


def ways(cores: int, most_workers: int) -> Iterator[tuple[int, int, bool]]:
    """Workers, threads and spinning that are worth a try; one worker with one thread first."""
    threads = sorted({1, 2, *(2**n for n in range(2, 7) if 2**n <= cores), cores})
    for each in (number for number in threads if number <= cores):
        for workers in range(1, most_workers + 1):
            # More threads than cores only wait for each other. But one worker more than cores runs
            # while another is between two runs.
            if workers * each <= cores or (workers, each) == (cores + 1, 1):
                yield workers, each, False
        if each > 1:
            yield 1, each, True


class Contest:
    """Measures ways in rounds.

    Args:
        models: each way with its model, the way that is compared with first.
        frames: pictures that are looked at in turn.
        goal: what to be best at.
        turn_s: of one way in one round; longer where one run takes much of it.
        seed: of the order in the rounds.
    """

    def __init__(
        self,
        models: Sequence[tuple[Way, LoadedModel]],
        frames: Sequence[Image],
        goal: Goal,
        *,
        turn_s: float = TURN_S,
        seed: int = 1,
    ) -> None:
        self._frames = frames
        self._goal = goal
        self._shuffle = random.Random(seed).shuffle
        self._runners = {way: [model.runner() for _ in range(way.workers)] for way, model in models}
        self.turns_s = dict.fromkeys(self._runners, turn_s)
        """How long a turn of each is."""
        self.results = [Measured(way) for way, _ in models]

    @property
    def base(self) -> Measured:
        """What all others are compared with; it takes part in every round."""
        return self.results[0]

    def run(self, seconds: float, tick: Callable[[float], object] = lambda _: None) -> None:
        """Measure until `seconds` are over, at least `LEAST_ROUNDS` rounds.

        Args:
            seconds: how long.
            tick: told after each round which share of the time is over, 0..1.

        Raises:
            ModelRunError: a model failed.
        """
        began = time.monotonic()
        rounds = 0
        # The first turn of each plans memory and does not count. Each has its own length: a slow
        # file that is on trial must not make the turns of the others as long as its own.
        for way, turn_s in self.turns_s.items():
            self.turns_s[way] = max(turn_s, _LEAST_RUNS * self._turn(way).latency_s)
        while rounds < LEAST_ROUNDS or time.monotonic() - began < seconds:
            alive = [each for each in self.results if not each.dropped]
            self._shuffle(alive)
            for each in alive:
                each.turns.append(self._turn(each.way))
            rounds += 1
            if rounds >= _DROP_AFTER:
                self._drop()
            done = (time.monotonic() - began) / seconds if seconds else 1.0
            tick(min(1.0, done, rounds / LEAST_ROUNDS))

    def best(self, among: Sequence[Measured]) -> Measured:
        """The way to take: the best, and of those as good as it the one that takes least CPU.

        Where neither differs, what is there stays, else it is the fewest workers: each looks at a
        frame longer beside the others.
        """
        alive = [each for each in among if not each.dropped] or list(among)
        top = max(each.gain(self.base, self._goal) for each in alive)
        close = [each for each in alive if each.gain(self.base, self._goal) >= top * (1 - _TIE)]
        least = max(each.gain(self.base, "cpu") for each in close)
        alike = [each for each in close if each.gain(self.base, "cpu") >= least * (1 - _TIE)]
        return self.base if self.base in alike else min(alike, key=lambda each: each.way.workers)

    def _drop(self) -> None:
        top = max(each.gain(self.base, self._goal) for each in self.results if not each.dropped)
        for each in self.results[1:]:
            if not each.dropped and each.gain(self.base, self._goal) < _DROP_BELOW * top:
                each.dropped = True

    def _turn(self, way: Way) -> Turn:
        """Let a way run for a moment with nothing else of ours running."""
        latencies: list[float] = []
        failed: list[ModelRunError] = []

        def look(runner: Runner, worker: Worker) -> None:
            try:
                for number in count():
                    began = time.perf_counter()
                    runner.infer(self._frames[number % len(self._frames)])
                    latencies.append(time.perf_counter() - began)
                    if worker.stopping:
                        return
            except ModelRunError as error:
                failed.append(error)

        workers = [
            Worker(f"tune-{number}", partial(look, runner))
            for number, runner in enumerate(self._runners[way])
        ]
        cpu_s, began = time.process_time(), time.perf_counter()
        try:
            for worker in workers:
                worker.start()
            time.sleep(self.turns_s[way])
        finally:
            # Also at Ctrl-C: a run that outlives the interpreter takes the process down with it.
            for worker in workers:
                worker.request_stop()
            for worker in workers:
                worker.stop(_STOP_S)
        wall_s = time.perf_counter() - began
        if failed:
            raise failed[0]
        if not latencies:
            raise ModelRunError(f"{way}: no answer within {_STOP_S:g} s", hint="leave it out")
        settle()
        cpu_s = time.process_time() - cpu_s
        latencies.sort()
        tail = latencies[min(len(latencies) - 1, math.ceil(_PERCENTILE * len(latencies)) - 1)]
        frames = len(latencies)
        return Turn(wall_s / frames, median(latencies), tail, cpu_s / frames)


def be_modest() -> None:
    """Let everything else on the machine go first: a line may be running beside."""
    os.nice(10)


def settle() -> None:
    """Wait until threads that spin have stopped, at most a moment."""
    deadline = time.perf_counter() + _SETTLE_S
    while time.perf_counter() < deadline:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        time.sleep(_LOOK_S)
        if time.process_time() - cpu_s < _IDLE_SHARE * (time.perf_counter() - wall_s):
            return
