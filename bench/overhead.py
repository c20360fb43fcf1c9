"""What one frame costs over the bare run of its model: a ready 1080p frame to a typed result.

    bare    `session.run` on a ready tensor: the floor, which nothing can be below
    naive   the tutorials' way, with our session options, and with the runtime's own
    ours    `Runner.infer`, with every check, to a `Detections` or `Classification`

All in one thread, in turns, frame by frame. Capture, decision and sending are not in it.
"""

from operator import attrgetter
from typing import Final

from bench.contenders import Bare, agreement, naive_way, ready_tensor
from bench.context import Context
from bench.harness import Patience, Turn, compare, in_rounds, settled, timed
from bench.report import Column, Report, Table, Unavailable
from bench.subjects import Subject
from visionedge.entities import Image

BASE: Final = "bare session.run"
_WARM_UP: Final = 3
COLUMNS: Final = (
    Column("", lambda row: row.contender),
    Column("frames/s", lambda row: f"{row.frames_per_s:.1f}"),
    Column("ms", lambda row: f"{row.wall_ms:.2f}"),
    Column("over bare", lambda row: f"{row.over_base_ms:+.2f}"),
    Column("CPU ms", lambda row: f"{row.cpu_ms:.2f}"),
    Column("of bare", lambda row: f"{row.ratio:.3f}"),
    Column("95 % interval", lambda row: f"{row.ratio_low:.3f} to {row.ratio_high:.3f}"),
    Column("by CPU", lambda row: f"{row.cpu_ratio:.3f}"),
)


def run(context: Context) -> Report:
    """Measure every subject."""
    tables, skipped = [], []
    for role in context.roles:
        try:
            subject = context.subject(role)
        except Unavailable as error:
            skipped.append(f"{role}: {error}")
            continue
        tables.append(_table(subject, context))
    return Report("overhead", tables, skipped)


def _table(subject: Subject, context: Context) -> Table:
    path = subject.model.bundle.model
    same, own = Bare(path), Bare(path, default_options=True)
    tensor, frames = ready_tensor(subject), subject.frames
    runner = subject.model.runner()
    agreed = agreement(subject, runner.infer, naive_way(subject, same))
    by_default = naive_way(subject, own)
    same_options = naive_way(subject, same)

    def frame(number: int) -> Image:
        return frames[number % len(frames)]

    turns: dict[str, Turn] = {
        BASE: timed(lambda _: same.run(tensor)),
        "naive, same options": timed(lambda number: same_options(frame(number))),
        "naive, default options": settled(timed(lambda number: by_default(frame(number)))),
        "ours, Runner.infer": timed(lambda number: runner.infer(frame(number))),
    }
    with context.progress(f"overhead {subject.role}", context.pairs) as tick:
        rounds = in_rounds(
            turns, context.pairs, warm_up=_WARM_UP, patience=Patience(context.patience_s), tick=tick
        )
    return Table(
        title=f"{subject.role}: {subject.title}; {context.pairs} pairs",
        rows=compare(rounds.samples, BASE),
        columns=COLUMNS,
        notes=(
            f"ready 1080p frames ({subject.pictures}); {agreed}",
            rounds.disturbance,
        ),
        bar=attrgetter("ratio"),
    )
