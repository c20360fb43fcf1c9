"""Memory over 20,000 frames, 50 changes of the model and 50 reopenings of the camera.

Each round loads the model anew, lets go of the one before, opens the camera anew, and looks
at 400 frames. What matters is growth after the first rounds, in which allocators and caches
fill. The heap is looked after as the module's control thread does it, so memory is a saw-tooth,
and a leak lifts its bottom: compared are the lower quartiles of the two halves of what follows.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final

from bench.clip import write_clip
from bench.context import Context
from bench.report import Column, Report, Table
from bench.subjects import Subject
from visionedge.cameras.file import FileSource
from visionedge.inference.model import load_model
from visionedge.runtime.heap import system_heap
from visionedge.settings import FileCamera, ModelSettings

_ROUNDS: Final = 50
_FRAMES: Final = 400
_QUICK_FRAMES: Final = 40
_WARM_UP: Final = 15
"""Rounds: beyond the second trim of the heap, a minute after the first growth."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model.

    Attributes:
        contender: what was done.
        frames: in all.
        begin_mb: memory in the first half of the rounds after those.
        end_mb: memory in the last half.
        growth: of the one over the other, less 1.
    """

    contender: str
    frames: int
    begin_mb: float
    end_mb: float
    growth: float


def run(context: Context) -> Report:
    """Measure every subject."""
    return context.report("endurance", partial(_table, context))


def _table(context: Context, subject: Subject) -> Table:
    clip = write_clip(context.folder / f"endurance-{subject.role}.mp4", subject.frames)
    frames = _FRAMES if context.blocks >= 10 else _QUICK_FRAMES
    path, card = subject.model.bundle.model, subject.model.card.model_dump(mode="json")
    heap = system_heap()
    rss: list[float] = []
    with context.progress(f"endurance {subject.role}", _ROUNDS) as tick:
        for _ in range(_ROUNDS):
            model = load_model(path, ModelSettings(path=str(path)), card)
            runner = model.runner()
            source = FileSource(FileCamera(kind="file", path=str(clip), realtime=False))
            source.open()
            for _ in range(frames):
                source.grab()
                runner.infer(source.retrieve()[0])
            source.close()
            heap.relieve()
            rss.append(_rss_mb())
            tick()
    half = (_ROUNDS - _WARM_UP) // 2
    begin, end = (quantiles(part, n=4)[0] for part in (rss[-2 * half : -half], rss[-half:]))
    row = Row(f"{_ROUNDS} models, {_ROUNDS} cameras", _ROUNDS * frames, begin, end, end / begin - 1)
    return Table(
        title=f"{subject.role}: {subject.title}",
        rows=[row],
        columns=(
            Column("", lambda row: row.contender),
            Column("frames", lambda row: f"{row.frames}"),
            Column("MB at first", lambda row: f"{row.begin_mb:.0f}"),
            Column("MB at last", lambda row: f"{row.end_mb:.0f}"),
            Column("growth", lambda row: f"{row.growth:+.1%}"),
        ),
    )


def _rss_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(text for text in status.splitlines() if text.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6
