"""What a frame costs beside the model: decision, metrics, telemetry, and escalating a fifth.

The first table takes the frame loop of the module from the end of `infer` to the end of its
step, frame by frame as a camera sees them, with the caches as the model left them, as a share
of the bare run of that model in the same round; and the same frames again with what was seen in
them, without a run between two of them: the difference is what the model does to the caches.
Beside it stands the least that a program could do with a frame (`least_bookkeeping`), and the least
that decides on it as the module does (`least_decision`), in the place of the module's step: after
another `infer` of the same frame, and without one.

The second is how old results are where every fifth frame is escalated (`escalated`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, Final

from bench.clip import panned
from bench.contenders import Bare, ready_tensor
from bench.context import Context
from bench.escalated import aged
from bench.harness import median_interval
from bench.least_bookkeeping import LeastBookkeeping
from bench.least_decision import LeastDecision
from bench.line import settings_of
from bench.report import Column, Report, Table
from bench.subjects import Subject
from visionedge.entities import Decision, Detections, Frame, Prediction
from visionedge.escalation.decide import Decider
from visionedge.escalation.snapshot import Snapshots
from visionedge.inference.model import LoadedModel
from visionedge.inference.runner import Runner, Timings
from visionedge.metrics import Metrics
from visionedge.pipeline import Pipeline, Wiring
from visionedge.runtime.clock import SystemClock
from visionedge.runtime.slot import LatestSlots
from visionedge.telemetry import Telemetry
from visionedge.uplink.spool import Spool

_CAMERA: Final = "line"
_WARM_UP: Final = 5
_OURS: Final = ("ours", "of it after its decision")
_ALONE: Final = "; no run between frames"
_Least = Mapping[str, LeastBookkeeping]
_Taken = dict[str, list[float]]
"""By contender: seconds, frame by frame."""


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


def run(context: Context) -> Report:
    """Measure every subject."""
    reports = [context.report("bookkeeping", partial(table, context)) for table in (beside, aged)]
    tables = [table for report in reports for table in report.tables]
    return Report("bookkeeping", tables, [word for report in reports for word in report.skipped])


class _Stamped(Runner):
    """A runner that remembers when it was done, and what it saw."""

    ended_ns = 0
    saw: ClassVar[list[Prediction]] = []

    def infer(self, *args: Any, **kwargs: Any) -> Prediction:  # noqa: ANN401 - whatever it takes
        found = super().infer(*args, **kwargs)
        _Stamped.saw.append(found)
        _Stamped.ended_ns = time.perf_counter_ns()
        return found


class _Recalled(Runner):
    """A runner that tells what another saw in the same frames, in their order."""

    recalled: ClassVar[Iterator[Prediction]] = iter(())

    def infer(self, *_: Any, **__: Any) -> Prediction:  # noqa: ANN401 - whatever it takes
        found = next(_Recalled.recalled)
        _Stamped.ended_ns = time.perf_counter_ns()
        return found


class _Deciding(Decider):
    """A decider that remembers when it was done."""

    ended_ns = 0

    def decide(self, frame: Frame, prediction: Prediction) -> Decision:
        decision = super().decide(frame, prediction)
        _Deciding.ended_ns = time.perf_counter_ns()
        return decision


class _Model(LoadedModel):
    """The subject's model, whose runners are of another class."""

    runners: type[Runner] = _Stamped

    def runner(self, *args: Any, **kwargs: Any) -> Runner:  # noqa: ANN401 - whatever it takes
        runner = super().runner(*args, **kwargs)
        runner.__class__ = self.runners
        return runner


class _Recalling(_Model):
    """The same without a run."""

    runners = _Recalled


def beside(context: Context, subject: Subject) -> Table:
    """The cost of a frame of one model, beside the model."""
    folder = context.folder / f"beside-{subject.role}"
    folder.mkdir()
    least = _least(subject)
    after, runs = _after_runs(context, subject, folder, least)
    alone = _alone(context, subject, folder, least)
    rows = [
        _cost(name + suffix, took[name], runs)
        for name in (*_OURS, *least)
        for took, suffix in ((after, ""), (alone, _ALONE))
    ]
    return Table(
        title=f"{subject.role}: {subject.title}; {context.pairs} frames",
        rows=rows,
        columns=(
            Column("from the end of infer to the next frame", lambda row: row.contender),
            Column("ms", lambda row: f"{row.beside_ms:.3f}"),
            Column("bare run, ms", lambda row: f"{row.bare_ms:.2f}"),
            Column("share", lambda row: f"{row.share:.2%}"),
            Column("95 % interval", lambda row: f"{row.low:.2%} to {row.high:.2%}"),
        ),
        notes=(
            f"1080p frames ({subject.pictures}), in which {_found(_Stamped.saw)}",
            "after its decision the module counts, adds to its telemetry and puts into a queue",
            "least: one threshold, the module's counters and histograms, and one put into a queue, "
            "of a line of JSON or of what was seen as it is; the last decides on boxes as the "
            "module does, and can do nothing else",
        ),
    )


def _least(subject: Subject) -> _Least:
    """Contenders beside ours."""
    decision = LeastDecision(subject.model.limits.floor)
    return {
        "least, told in JSON": LeastBookkeeping(Metrics(), _CAMERA, as_json=True),
        "least, put as it is": LeastBookkeeping(Metrics(), _CAMERA),
        "least that decides alike": LeastBookkeeping(Metrics(), _CAMERA, decision=decision),
    }


def _found(saw: Sequence[Prediction]) -> str:
    if not isinstance(saw[0], Detections):
        return "one class is seen"
    return f"{median(map(len, saw)):.0f} boxes are seen"


def _cost(contender: str, beside: Sequence[float], runs: Sequence[float]) -> Cost:
    share, low, high = median_interval(a / b for a, b in zip(beside, runs, strict=True))
    return Cost(contender, 1000 * median(beside), 1000 * median(runs), share, low, high)


def _after_runs(
    context: Context, subject: Subject, folder: Path, least: _Least
) -> tuple[_Taken, list[float]]:
    """Seconds beside the model by contender, and of its bare run, frame by frame."""
    bare, tensor = Bare(subject.model), ready_tensor(subject)
    runner = subject.model.runner()
    taken: _Taken = {name: [] for name in (*_OURS, *least)}
    runs = []
    _Stamped.saw.clear()
    for frame, own_s in _beside_each(context, subject, folder, _Model):
        _add(taken, own_s)
        began = time.perf_counter()
        bare.run(tensor)
        runs.append(time.perf_counter() - began)
        for name, keep in least.items():
            found = runner.infer(frame.image)
            taken[name].append(_seconds(keep, frame, found, runner.timings))
    return _warm(taken), runs[_WARM_UP:]


def _alone(context: Context, subject: Subject, folder: Path, least: _Least) -> _Taken:
    """Seconds beside the model, frame by frame, on what was seen in them before."""
    _Recalled.recalled, timings = iter(_Stamped.saw), Timings()
    taken: _Taken = {name: [] for name in (*_OURS, *least)}
    each = _beside_each(context, subject, folder, _Recalling)
    for found, (frame, own_s) in zip(_Stamped.saw, each, strict=True):
        _add(taken, own_s)
        for name, keep in least.items():
            taken[name].append(_seconds(keep, frame, found, timings))
    return _warm(taken)


def _add(taken: _Taken, own_s: Sequence[float]) -> None:
    for name, each_s in zip(_OURS, own_s, strict=True):
        taken[name].append(each_s)


def _seconds(keep: LeastBookkeeping, frame: Frame, found: Prediction, timings: Timings) -> float:
    began = time.perf_counter()
    keep(frame, found, timings)
    return time.perf_counter() - began


def _warm(taken: _Taken) -> _Taken:
    return {name: each[_WARM_UP:] for name, each in taken.items()}


def _beside_each(
    context: Context, subject: Subject, folder: Path, kind: type[_Model]
) -> Iterator[tuple[Frame, tuple[float, float]]]:
    """Frames, each with the seconds from the end of `infer`, and of its decision, to the end."""
    pipeline, spool = _pipeline(subject.model, folder, kind)
    images, clock = chain.from_iterable(panned(subject.frames) for _ in count()), SystemClock()
    with context.progress(f"bookkeeping {subject.role}", context.pairs) as tick:
        for number in range(context.pairs + _WARM_UP):
            frame = Frame(next(images), _CAMERA, number, clock.utc(), clock.ns())
            pipeline.answer_for(frame)
            ended_ns = time.perf_counter_ns()
            own_ns = (ended_ns - _Stamped.ended_ns, ended_ns - _Deciding.ended_ns)
            yield frame, (own_ns[0] / 1e9, own_ns[1] / 1e9)
            tick()
    spool.close()


def _pipeline(own: LoadedModel, folder: Path, kind: type[_Model]) -> tuple[Pipeline, Spool]:
    """The frame loop as the module has it, not started."""
    model = kind(own.session, own.card, origins=own.origins, bundle=own.bundle, limits=own.limits)
    settings = settings_of(model, folder / "none", folder, 30.0)
    metrics = Metrics()
    spool = Spool(
        Path(settings.spool.path),
        max_bytes=settings.spool.max_bytes,
        max_age_s=settings.spool.max_age_s,
        metrics=metrics,
    )
    pipeline = Pipeline(
        Wiring(1, {_CAMERA: model}, _Deciding(settings, 1), Snapshots(settings)),
        LatestSlots[Frame](),
        spool,
        Telemetry(SystemClock().utc()),
        metrics,
        workers=1,
        queue=settings.escalation.queue,
    )
    return pipeline, spool
