"""Frames a second of the whole module over the bare run of its model, decoding included.

    bare    `session.run` on a ready tensor, over and over: one thread, and the runtime's
            default of all cores
    naive   one loop: read a frame of the file, the tutorials' way, the runtime's defaults
    ours    camera feed, newest frame wins, workers, decision, telemetry, spool

The camera is a 1080p file that is played a fifth faster than the workers, or the cores
with the decoding on them, could follow if ours cost nothing: so no worker waits and
frames are dropped all the time, as on a device that is loaded to its limit. Where
decoding a frame takes as long as the model, it halves what the cores can do for models;
the note below the table tells what it takes.

One worker stands against the one thread of the bare run; a worker a core is how the module
runs by default.
"""

from contextlib import ExitStack
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final

from bench.contenders import Bare, naive_way, ready_tensor
from bench.context import Context
from bench.frames import write_clip
from bench.harness import Sample, Turn, compare, in_rounds, repeated, settled
from bench.line import Line
from bench.load import cores
from bench.naive import reader_of
from bench.ratios import BASE, COLUMNS
from bench.report import Report, Table
from bench.subjects import Subject

_TURN_S: Final = 0.4
_WARM_UP: Final = 1
_FASTER: Final = 1.2
_PROBES: Final = 2


def run(context: Context) -> Report:
    """Measure every subject."""
    return context.report("overlap", partial(_table, context))


def _table(context: Context, subject: Subject) -> Table:
    clip = write_clip(context.folder / f"{subject.role}.mp4", subject.frames)
    turns = _others(subject, clip)
    # By CPU time, because others may be at work just now.
    run_s = min(turns[BASE](n).cpu_s for n in range(_PROBES))
    decode_s = repeated(reader_of(clip), _TURN_S)(0).cpu_s
    fps = {workers: _fps(workers, run_s, decode_s) for workers in sorted({1, cores()})}
    with ExitStack() as lines:
        for workers, pace in fps.items():
            line = Line(subject.model, clip, context.folder, workers=workers, fps=pace)
            name = f"ours, {workers} worker{'s' * (workers > 1)}"
            turns[name] = partial(_line_turn, lines.enter_context(line))
        tick = lines.enter_context(context.progress(f"overlap {subject.role}", context.blocks))
        rounds = in_rounds(
            turns, context.blocks, warm_up=_WARM_UP, patience_s=context.patience_s, tick=tick
        )
    return Table(
        title=f"{subject.role}: {subject.title}; {context.blocks} rounds of {_TURN_S} s each",
        rows=compare(rounds, BASE),
        columns=COLUMNS,
        notes=(
            f"camera: 1080p MPEG-4 ({subject.pictures}), "
            f"{' and '.join(f'{pace:.0f}' for pace in fps.values())} frames/s; "
            f"decoding one takes {decode_s * 1e3:.1f} ms of CPU",
            rounds.disturbance,
        ),
        bar=attrgetter("ratio"),
    )


def _fps(workers: int, run_s: float, decode_s: float) -> float:
    """A pace that the workers cannot follow, however little our own work takes."""
    return _FASTER * min(workers / run_s, cores() / (run_s + decode_s))


def _others(subject: Subject, clip: Path) -> dict[str, Turn]:
    path = subject.model.bundle.model
    same, own = Bare(path), Bare(path, default_options=True)
    tensor = ready_tensor(subject)
    read, infer = reader_of(clip), naive_way(subject, own)
    return {
        BASE: repeated(lambda: same.run(tensor), _TURN_S),
        "bare, default options": settled(repeated(lambda: own.run(tensor), _TURN_S)),
        "naive loop, default options": settled(repeated(lambda: infer(read()), _TURN_S)),
    }


def _line_turn(line: Line, _: int) -> Sample:
    return line.turn(_TURN_S)
