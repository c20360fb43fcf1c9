"""What a frame costs beside the model: decision, metrics, telemetry, and escalating a fifth.

The first table takes the frame loop of the module from the end of `infer` to the end of its
step, frame by frame as a camera sees them, with the caches as the model left them, as a share
of the bare run of that model in the same round. The second runs the whole module with and
without an escalation of every fifth frame, each in a process of its own: snapshots are made
and encoded beside the frame loop, and must not make results older.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from statistics import median
from typing import Any, Final
from weakref import WeakKeyDictionary

from bench.cameras import measure, pace
from bench.clip import panned, write_clip
from bench.cold_start import write_bundle
from bench.contenders import Bare, ready_tensor
from bench.context import Context
from bench.harness import median_interval
from bench.line import settings_of
from bench.report import Column, Report, Table
from bench.subjects import Subject
from visionedge.entities import Frame, Prediction
from visionedge.escalation.decide import Decider
from visionedge.escalation.snapshot import Snapshots
from visionedge.inference.model import LoadedModel
from visionedge.inference.runner import Runner
from visionedge.metrics import Metrics
from visionedge.pipeline import Pipeline, Wiring
from visionedge.runtime.clock import SystemClock
from visionedge.runtime.slot import LatestSlots
from visionedge.telemetry import Telemetry
from visionedge.uplink.spool import Spool

_CAMERA: Final = "line"
_SHARE: Final = 0.2
_ROUNDS: Final = 4
_SECONDS: Final = 8.0
_WARM_UP: Final = 5
_Told = Mapping[float, Mapping[str, Any]]
"""By share: the figures of one process."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Time beside the model.

    Attributes:
        contender: what was timed.
        beside_ms: median, a frame.
        bare_ms: median of the bare run.
        share: median of the one over the other, pair by pair.
        low: lower end of the 95 % interval of that median.
        high: upper end.
    """

    contender: str
    beside_ms: float
    bare_ms: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Aged:
    """The whole module with a share of its frames escalated.

    Attributes:
        contender: which share.
        per_s: results.
        p50_ms: age.
        p99_ms: age.
        ratio: of the 99th percentile to that without, the median of the rounds.
    """

    contender: str
    per_s: float
    p50_ms: float
    p99_ms: float
    ratio: float


def run(context: Context) -> Report:
    """Measure every subject."""
    beside = context.report("bookkeeping", partial(_beside, context))
    aged = context.report("bookkeeping", partial(_aged, context))
    tables = [*beside.tables, *aged.tables]
    return Report("bookkeeping", tables, [*beside.skipped, *aged.skipped])


class _Stamped(Runner):
    """A runner that remembers when it was done."""

    ended_ns = 0

    def infer(self, *args: Any, **kwargs: Any) -> Prediction:  # noqa: ANN401 - whatever it takes
        found = super().infer(*args, **kwargs)
        _Stamped.ended_ns = time.perf_counter_ns()
        return found


class _Model(LoadedModel):
    """The subject's model, whose runners are stamped."""

    def runner(self, *args: Any, **kwargs: Any) -> Runner:  # noqa: ANN401 - whatever it takes
        runner = super().runner(*args, **kwargs)
        runner.__class__ = _Stamped
        return runner


def _beside(context: Context, subject: Subject) -> Table:
    folder = context.folder / f"beside-{subject.role}"
    folder.mkdir()
    pairs = _pairs(context, subject, folder)
    share, low, high = median_interval(beside / run_s for beside, run_s in pairs)
    row = Cost(
        "from the end of infer to the next frame",
        1000 * median(beside for beside, _ in pairs),
        1000 * median(run_s for _, run_s in pairs),
        share,
        low,
        high,
    )
    return Table(
        title=f"{subject.role}: {subject.title}; {context.pairs} frames",
        rows=[row],
        columns=(
            Column("", lambda row: row.contender),
            Column("ms", lambda row: f"{row.beside_ms:.3f}"),
            Column("bare run, ms", lambda row: f"{row.bare_ms:.2f}"),
            Column("share", lambda row: f"{row.share:.2%}"),
            Column("95 % interval", lambda row: f"{row.low:.2%} to {row.high:.2%}"),
        ),
        notes=(f"1080p frames ({subject.pictures})",),
    )


def _pairs(context: Context, subject: Subject, folder: Path) -> list[tuple[float, float]]:
    """Seconds beside the model, and of its bare run, frame by frame."""
    pipeline, spool = _pipeline(subject.model, folder)
    bare, tensor, clock = Bare(subject.model.bundle.model), ready_tensor(subject), SystemClock()
    runners: WeakKeyDictionary[LoadedModel, Runner] = WeakKeyDictionary()
    images = chain.from_iterable(panned(subject.frames) for _ in count())
    pairs = []
    with context.progress(f"bookkeeping {subject.role}", context.pairs) as tick:
        for number in range(context.pairs + _WARM_UP):
            frame = Frame(next(images), _CAMERA, number, clock.utc(), clock.ns())
            pipeline.answer_for(frame, runners)
            beside_s = (time.perf_counter_ns() - _Stamped.ended_ns) / 1e9
            began = time.perf_counter()
            bare.run(tensor)
            pairs.append((beside_s, time.perf_counter() - began))
            tick()
    spool.close()
    return pairs[_WARM_UP:]


def _pipeline(own: LoadedModel, folder: Path) -> tuple[Pipeline, Spool]:
    """The frame loop as the module has it, not started."""
    model = _Model(own.session, own.card, origins=own.origins, bundle=own.bundle, limits=own.limits)
    settings = settings_of(model, folder / "none", folder, 30.0)
    metrics = Metrics()
    spool = Spool(
        Path(settings.spool.path),
        max_bytes=settings.spool.max_bytes,
        max_age_s=settings.spool.max_age_s,
        metrics=metrics,
    )
    pipeline = Pipeline(
        Wiring(1, {_CAMERA: model}, Decider(settings, 1), Snapshots(settings)),
        LatestSlots[Frame](),
        spool,
        Telemetry(SystemClock().utc()),
        metrics,
        workers=1,
        queue=settings.escalation.queue,
    )
    return pipeline, spool


def _aged(context: Context, subject: Subject) -> Table:
    folder = context.folder / f"aged-{subject.role}"
    bundle = write_bundle(folder / "bundle", subject.model)
    clip = write_clip(folder / "clip.mp4", subject.frames)
    fps = pace(subject, clip)
    rounds: list[_Told] = []
    with context.progress(f"escalating {subject.role}", 2 * _ROUNDS) as tick:
        for number in range(_ROUNDS):
            told = {}
            for share in (0.0, _SHARE) if number % 2 else (_SHARE, 0.0):
                place = folder / f"{share}-{number}"
                place.mkdir()
                told[share] = measure("ours", bundle, clip, place, 1, fps, _SECONDS, share)
                tick()
            rounds.append(told)
    rows = [
        Aged(
            f"{share:.0%} escalated",
            median(told[share]["per_s"] for told in rounds),
            median(told[share]["p50_ms"] for told in rounds),
            median(told[share]["p99_ms"] for told in rounds),
            median(told[share]["p99_ms"] / told[0.0]["p99_ms"] for told in rounds),
        )
        for share in (0.0, _SHARE)
    ]
    return Table(
        title=f"{subject.role}: one camera at {fps:.0f} frames/s; {_ROUNDS} rounds",
        rows=rows,
        columns=(
            Column("", lambda row: row.contender),
            Column("results/s", lambda row: f"{row.per_s:.1f}"),
            Column("age p50", lambda row: f"{row.p50_ms:.1f}"),
            Column("p99 ms", lambda row: f"{row.p99_ms:.1f}"),
            Column("p99 of without", lambda row: f"{row.ratio:.2f}"),
        ),
        bar=lambda row: float(row.ratio),
    )
