"""How close the pick of `visionedge tune` comes to the best of the exhaustive grid.

    pick    what the command picks, in a process of its own, as on a device
    grid    workers, threads and spinning in every combination up to one more than there are
            cores, also those that the command leaves out because they only wait for each other

First all of the grid is measured beside the pick in rounds. The best of many noisy figures looks
better than it is, so what the first rounds found best is then measured anew, in pairs with the
pick alone, and that last row is the answer: 1 is as good as the pick.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from bench.child import Child
from bench.cold_start import write_bundle
from bench.context import Context
from bench.harness import Row, Sample, Turn, compare, in_rounds, settled
from bench.load import cores
from bench.report import Column, Report, Table
from bench.subjects import Subject
from visionedge.entities import Image
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.runner import Runner
from visionedge.runtime.worker import Worker
from visionedge.settings import ModelSettings

_PICK: Final = "tune's pick"
_TUNE_S: Final = {True: 30, False: 10}
"""What the command is given: by default, and in a quick run."""
_TURN_S: Final = 0.4
_PAIRS_A_ROUND: Final = 3
_STOP_S: Final = 30.0
_COLUMNS: Final = (
    Column("", lambda row: row.contender),
    Column("frames/s", lambda row: f"{row.frames_per_s:.1f}"),
    Column("CPU ms", lambda row: f"{row.cpu_ms:.2f}"),
    Column("of the pick", lambda row: f"{row.ratio:.3f}"),
    Column("95 % interval", lambda row: f"{row.ratio_low:.3f} to {row.ratio_high:.3f}"),
    Column("by CPU", lambda row: f"{row.cpu_ratio:.3f}"),
)


@dataclass(frozen=True, slots=True)
class Division:
    """How the cores are divided: runs at once, threads of a run, and whether they spin."""

    workers: int
    threads: int
    spin: bool

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads}{', spinning' * self.spin}"


def run(context: Context) -> Report:
    """Measure every subject."""
    return context.report("tune", partial(_table, context))


def _table(context: Context, subject: Subject) -> Table:
    bundle = write_bundle(context.folder / f"tune-{subject.role}", subject.model)
    pick = _pick(bundle, _TUNE_S[context.blocks >= 10])
    models = _Loaded(bundle, subject.model)
    turns = {_PICK: models.turn(pick, subject.frames)}
    turns |= {str(each): models.turn(each, subject.frames) for each in _grid() if each != pick}
    pairs = _PAIRS_A_ROUND * context.blocks
    with context.progress(f"tune {subject.role}", context.blocks + pairs) as tick:
        measured = partial(in_rounds, patience_s=context.patience_s, tick=tick)
        rows = compare(measured(turns, context.blocks), _PICK)
        best = max(rows, key=attrgetter("ratio")).contender
        again = measured({_PICK: turns[_PICK], best: turns[best]}, pairs)
    answer = [row for row in compare(again, _PICK) if row.contender == best][0]
    return Table(
        title=f"{subject.role}: {subject.title}; {context.blocks} rounds, then {pairs} pairs",
        rows=[_named(rows[0], f"{_PICK}, {pick}"), *rows[1:], _named(answer, _again(best))],
        columns=_COLUMNS,
        notes=(
            f"1080p frames ({subject.pictures}), `Runner.infer` in each worker; workers x threads",
            again.disturbance,
        ),
        bar=attrgetter("ratio"),
    )


def _again(best: str) -> str:
    return "the pick, measured anew" if best == _PICK else f"the best, {best}, measured anew"


def _named(row: Row, name: str) -> Row:
    return replace(row, contender=name)


def _pick(bundle: Path, seconds: int) -> Division:
    """What the command finds best.

    Raises:
        Unavailable: it failed.
    """
    arguments = ["-m", "visionedge", "tune", "--model", str(bundle), "--dry-run", "--json"]
    with Child([*arguments, "--seconds", str(seconds)]) as child:
        told: Mapping[str, Any] = json.loads(child.text())[0]
    chosen = next(way for way in told["ways"] if way["way"] == told["chosen"])
    return Division(chosen["workers"], chosen["threads"], chosen["spin"])


def _grid() -> Iterator[Division]:
    most = cores() + 1
    for threads in range(1, most + 1):
        for workers in range(1, most + 1):
            yield Division(workers, threads, spin=False)
            if threads > 1:
                yield Division(workers, threads, spin=True)


class _Loaded:
    """One model, loaded once for each division of a run."""

    def __init__(self, bundle: Path, model: LoadedModel) -> None:
        self._bundle = bundle
        self._limits = model.limits
        self._models: dict[tuple[int, bool], LoadedModel] = {}

    def turn(self, division: Division, frames: list[Image]) -> Turn:
        """A turn in which so many workers look at frames."""
        key = (division.threads, division.spin)
        if key not in self._models:
            path = str(self._bundle)
            settings = ModelSettings(path=path, intra_op_threads=key[0], spin=key[1])
            self._models[key] = load_model(self._bundle, settings).with_limits(self._limits)
        runners = [self._models[key].runner() for _ in range(division.workers)]
        return settled(partial(_turn, runners, frames))


def _turn(runners: list[Runner], frames: list[Image], number: int) -> Sample:
    """All workers look for a moment; what a frame took of the clock, and of CPU."""
    seen = [0] * len(runners)

    def look(place: int, worker: Worker) -> None:
        while not worker.stopping:
            runners[place].infer(frames[(number + seen[place]) % len(frames)])
            seen[place] += 1

    workers = [Worker(f"grid-{place}", partial(look, place)) for place in range(len(runners))]
    cpu_s, began = time.process_time(), time.perf_counter()
    for worker in workers:
        worker.start()
    time.sleep(_TURN_S)
    for worker in workers:
        worker.request_stop()
    for worker in workers:
        worker.stop(_STOP_S)
    wall_s = time.perf_counter() - began
    return Sample(wall_s / sum(seen), (time.process_time() - cpu_s) / sum(seen))
