"""What a change of the model costs a line that runs: frames lost, and how late the others are.

Two copies of one bundle take turns on a running line, by the module's own steps: prepare the
new one beside the old, give it to the pipeline by one assignment, let go of the old. A frame
is `steady` while nothing changes, `preparing` while the new model is loaded and warmed on the
cores that the line uses as well, `proving` while that is done with one that this device has
never seen (tried in a child process, rewritten for the processor, held to its golden frames),
and `switch` if it is one of the first that the new model answers.

    late    the worst of a few frames in a row, how much later than the median of the steady
            ones, in inferences: 1.0 is as long as looking at one frame more. On a machine that
            others use the steady ones are late as well: compare with those
    beyond  of all frames those that are late by more than one inference
    lost    frames that a newer one replaced; the camera's pace is a third of what the cores can do
    CPU     of the worker's thread for a frame, the median, over that of the steady ones
    faults  pages of memory that a frame touched first, the median: each takes the kernel's time

The time of a frame is from its capture to its decision. Loading takes CPU from the line, so
`preparing` shows what a busy device gives up for it; `switch` shows what the change itself does.
While others take much of the machine, more changes are measured than asked for, and the
quietest are kept with the second before and after them.
"""

import math
import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_THREAD, getrusage
from shutil import copytree, rmtree
from typing import Final

from bench.clip import write_clip
from bench.context import Context
from bench.harness import BUSY_SHARE
from bench.load import Load, cores
from bench.report import Column, Report, Table
from bench.subjects import Subject
from visionedge.entities import Decision, Frame, Prediction
from visionedge.inference.model import load_model
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.pipeline import Pipeline
from visionedge.runtime.clock import SystemClock
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import ModelSettings, Settings, resolve
from visionedge.telemetry import Telemetry
from visionedge.uplink.spool import Spool

_ROLE: Final = "pcb-defects"
_STEADY_S: Final = 1.0
_FIRST_FRAMES: Final = 4
"""Of the new model: each worker's first, and one more."""
_PACE: Final = 0.3
_MOST_FPS: Final = 60.0
_INFERENCES: Final = 40
_STOP_S: Final = 5.0
_KINDS: Final = (False, True)
"""Whether the device has never seen the bundle: by turns."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """One frame that was decided on."""

    seq: int
    revision: int
    done_ns: int
    latency_s: float
    cpu_s: float = 0.0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Swap:
    """One change.

    Attributes:
        began_ns: monotonic.
        ready_ns: when the new model was ready.
        revision: that it made.
        is_new: whether the device had never seen the bundle.
        others: share of the machine that others used meanwhile, 0..1.
    """

    began_ns: int
    ready_ns: int
    revision: int
    is_new: bool = False
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Phase:
    """The frames of one phase, over all changes.

    Attributes:
        name: steady, preparing, proving or switch.
        frames: how many were decided on.
        lost: how many were not.
        median_ms: from capture to decision.
        worst_ms: of them.
        late: of the worst, in inferences beyond the steady median.
        typically_late: the same of the worst of each group, their median.
        beyond: share of the frames that are late by more than an inference, 0..1.
        cpu_ratio: of a frame's CPU time, the median, to the steady one.
        faults: page faults of a frame, the median.
    """

    name: str
    frames: int
    lost: int
    median_ms: float
    worst_ms: float
    late: float
    typically_late: float
    beyond: float
    cpu_ratio: float
    faults: float


class _Stamps(Telemetry):
    """Telemetry that remembers every frame."""

    def __init__(self) -> None:
        super().__init__(SystemClock().utc())
        self.stamps: list[Stamp] = []
        self._used = threading.local()

    def record(
        self, frame: Frame, prediction: Prediction, decision: Decision, latency_s: float
    ) -> None:
        """Count one decision, and stamp it."""
        super().record(frame, prediction, decision, latency_s)
        cpu_s, faults = time.thread_time(), getrusage(RUSAGE_THREAD).ru_minflt
        # A worker's first frame of all has none before it to count from.
        before_s, before = getattr(self._used, "by_now", (cpu_s, faults))
        self._used.by_now = cpu_s, faults
        self.stamps.append(
            Stamp(
                frame.seq,
                decision.settings_revision,
                time.monotonic_ns(),
                latency_s,
                cpu_s - before_s,
                faults - before,
            )
        )


def run(context: Context) -> Report:
    """Measure `context.blocks` changes."""
    return Report("swap", [_table(context, context.subject(_ROLE))])


def _table(context: Context, subject: Subject) -> Table:
    inference_s = _inference_s(subject)
    clip = write_clip(context.folder / "swap.mp4", subject.frames)
    fps = min(_MOST_FPS, _PACE * cores() / inference_s)
    stamps, taken = _measured(context, _copies(subject, context.folder), clip, fps)
    swaps = quietest(taken, context.blocks)
    return Table(
        title=f"{subject.title}: {len(swaps)} changes at {fps:.0f} frames/s",
        rows=phases(stamps, swaps, inference_s),
        columns=COLUMNS,
        notes=(
            f"a first frame that nobody prepared would take {_cold_frame(context, subject)}",
            f"an inference takes {inference_s * 1e3:.1f} ms of CPU with all around it",
            f"others used {statistics.fmean(each.others for each in swaps):.0%} of the machine, "
            f"in the quietest {len(swaps)} of {len(taken)} changes",
        ),
    )


def _measured(
    context: Context, copies: Sequence[Path], clip: Path, fps: float
) -> tuple[list[Stamp], list[Swap]]:
    """Let the line run, and change its model again and again."""
    telemetry, metrics, slots = _Stamps(), Metrics(), LatestSlots[Frame]()
    settings = [_settings(path, clip, context.folder, fps) for path in copies]
    spool = Spool(Path(settings[0].spool.path), max_bytes=10**8, max_age_s=86_400, metrics=metrics)
    lineup = Lineup(slots, metrics, lambda *_: None)
    first = lineup.prepare(settings[0], 1)
    pipeline = Pipeline(first.wiring, slots, spool, telemetry, metrics, workers=cores(), queue=16)
    lineup.busy = pipeline.busy
    pipeline.start()
    lineup.swap(first)
    try:
        time.sleep(2 * _STEADY_S)
        del telemetry.stamps[:]
        swaps: list[Swap] = []
        with context.progress("swap", len(_KINDS) * context.blocks) as tick:
            deadline_s = math.inf
            while time.monotonic() < deadline_s:
                is_new = _KINDS[len(swaps) % len(_KINDS)]
                if is_new:
                    # What was proven, and what was rewritten for this processor.
                    rmtree(context.folder / "models")
                next_ = settings[(len(swaps) + 1) % 2]
                swaps.append(_swap(lineup, pipeline, next_, len(swaps) + 2, is_new=is_new))
                tick()
                if len(swaps) == len(_KINDS) * context.blocks:
                    deadline_s = time.monotonic() + context.patience_s
                if _enough(swaps, context.blocks):
                    break
        time.sleep(_STEADY_S)
    finally:
        lineup.stop(_STOP_S)
        pipeline.stop(_STOP_S)
        spool.close()
    return list(telemetry.stamps), swaps


def _swap(
    lineup: Lineup, pipeline: Pipeline, settings: Settings, revision: int, *, is_new: bool
) -> Swap:
    # The steady second after the change before, and the one before this.
    time.sleep(_STEADY_S)
    # As the control thread does twice a second, so that no session is taken over by chance.
    pipeline.let_go()
    load = Load()
    time.sleep(_STEADY_S)
    began_ns = time.monotonic_ns()
    prepared = lineup.prepare(settings, revision)
    ready_ns = time.monotonic_ns()
    others = load.others() or 0.0
    pipeline.rewire(prepared.wiring)
    lineup.swap(prepared)
    pipeline.let_go()
    return Swap(began_ns, ready_ns, revision, is_new, others)


def _enough(swaps: Sequence[Swap], wanted: int) -> bool:
    quiet = [each.is_new for each in swaps if each.others < BUSY_SHARE]
    return all(quiet.count(kind) >= wanted for kind in _KINDS)


def quietest(swaps: Sequence[Swap], wanted: int) -> list[Swap]:
    """The changes of each kind in which others did least, in their order."""
    kept: set[int] = set()
    for kind in _KINDS:
        of_kind = [each for each in swaps if each.is_new is kind]
        kept |= {each.revision for each in sorted(of_kind, key=lambda each: each.others)[:wanted]}
    return [each for each in swaps if each.revision in kept]


def phases(stamps: Sequence[Stamp], swaps: Sequence[Swap], inference_s: float) -> list[Phase]:
    """The frames by phase.

    Args:
        stamps: in the order in which they were decided on.
        swaps: in their order; what is not within a second of one is not looked at.
        inference_s: what one frame takes.
    """
    preparing = [[s for s in stamps if w.began_ns <= s.done_ns < w.ready_ns] for w in swaps]
    switch = [[s for s in stamps if s.revision == w.revision][:_FIRST_FRAMES] for w in swaps]
    changed = {stamp.seq for group in (*preparing, *switch) for stamp in group}
    steady = [stamp for stamp in _near(stamps, swaps) if stamp.seq not in changed]
    normal_s = statistics.median(stamp.latency_s for stamp in steady)
    cpu_s = statistics.median(stamp.cpu_s for stamp in steady)
    lost_before = _lost_before(stamps)
    # In as many as the first frames of a new model, so that the worst of them compares.
    groups_by_name: dict[str, Sequence[Sequence[Stamp]]] = {
        "steady": _in_fours(steady),
        **{
            name: [
                four
                for swap, group in zip(swaps, preparing, strict=True)
                if swap.is_new is is_new
                for four in _in_fours(group)
            ]
            for name, is_new in (("preparing", False), ("proving", True))
        },
        "switch": switch,
    }
    return [
        _phase(name, groups, lost_before, (normal_s, inference_s, cpu_s))
        for name, groups in groups_by_name.items()
    ]


def _near(stamps: Sequence[Stamp], swaps: Sequence[Swap]) -> list[Stamp]:
    reach_ns = round(_STEADY_S * 1e9)
    return [
        stamp
        for stamp in stamps
        if any(w.began_ns - reach_ns <= stamp.done_ns < w.ready_ns + reach_ns for w in swaps)
    ]


def _in_fours(stamps: Sequence[Stamp]) -> list[Sequence[Stamp]]:
    return [stamps[at : at + _FIRST_FRAMES] for at in range(0, len(stamps), _FIRST_FRAMES)]


def _phase(
    name: str,
    groups: Sequence[Sequence[Stamp]],
    lost_before: dict[int, int],
    normal: tuple[float, float, float],
) -> Phase:
    normal_s, inference_s, cpu_s = normal
    groups = [group for group in groups if group]
    all_ = [stamp for group in groups for stamp in group]
    worst = [max(stamp.latency_s for stamp in group) for group in groups]
    late = [(worst_s - normal_s) / inference_s for worst_s in worst]
    return Phase(
        name=name,
        frames=len(all_),
        lost=sum(lost_before[stamp.seq] for stamp in all_),
        median_ms=_median(stamp.latency_s for stamp in all_) * 1e3,
        worst_ms=max(worst, default=0.0) * 1e3,
        late=max(late, default=0.0),
        typically_late=_median(late),
        beyond=_share(stamp.latency_s - normal_s > inference_s for stamp in all_),
        cpu_ratio=_median(stamp.cpu_s for stamp in all_) / cpu_s if cpu_s else 0.0,
        faults=_median(stamp.faults for stamp in all_),
    )


def _lost_before(stamps: Sequence[Stamp]) -> dict[int, int]:
    """For each frame, how many right before it were never decided on."""
    seqs = sorted(stamp.seq for stamp in stamps)
    return {seqs[0]: 0} | {b: b - a - 1 for a, b in zip(seqs, seqs[1:], strict=False)}


def _share(hits: Iterable[bool]) -> float:
    listed = list(hits)
    return sum(listed) / len(listed) if listed else 0.0


def _median(values: Iterable[float]) -> float:
    listed = list(values)
    return statistics.median(listed) if listed else 0.0


def _settings(bundle: Path, clip: Path, folder: Path, fps: float) -> Settings:
    return resolve(
        [
            {
                "cameras": {"line": {"kind": "file", "path": str(clip), "fps": fps}},
                "models": {"default": {"path": str(bundle)}},
                "spool": {"path": str(folder / "swap-spool.sqlite")},
            }
        ]
    )


def _inference_s(subject: Subject) -> float:
    runner, times = subject.model.runner(), []
    for number in range(_INFERENCES):
        # Of CPU, which others do not make longer: what is late would look less in it.
        began = time.thread_time()
        runner.infer(subject.frames[number % len(subject.frames)])
        times.append(time.thread_time() - began)
    return statistics.median(times)


def _cold_frame(context: Context, subject: Subject) -> str:
    """By CPU time of the one thread, which others on the machine do not change."""
    ratios = []
    for _ in range(context.blocks):
        model = load_model(subject.model.bundle.model.parent, ModelSettings(path="-"))
        began = time.thread_time()
        runner = model.runner()
        times = []
        for frame in (subject.frames * 6)[:6]:
            runner.infer(frame)
            times.append(time.thread_time() - began)
            began = time.thread_time()
        ratios.append(times[0] / statistics.median(times[1:]))
    typical, worst = statistics.median(ratios), max(ratios)
    return f"{typical:.1f} times the CPU of the next ones, {worst:.1f} at worst"


def _copies(subject: Subject, folder: Path) -> list[Path]:
    source = subject.model.bundle.model.parent
    return [copytree(source, folder / f"bundle-{name}", dirs_exist_ok=True) for name in "ab"]


COLUMNS: Final = (
    Column("", lambda row: row.name),
    Column("frames", lambda row: f"{row.frames}"),
    Column("lost", lambda row: f"{row.lost}"),
    Column("median ms", lambda row: f"{row.median_ms:.1f}"),
    Column("worst ms", lambda row: f"{row.worst_ms:.1f}"),
    Column("late, typically", lambda row: f"{row.typically_late:.2f}"),
    Column("late, at worst", lambda row: f"{row.late:.2f}"),
    Column("beyond one", lambda row: f"{row.beyond:.1%}"),
    Column("CPU", lambda row: f"{row.cpu_ratio:.2f}"),
    Column("faults", lambda row: f"{row.faults:.0f}"),
)
