"""What one frame costs over the bare run of its model: a ready 1080p frame to a typed result.

    bare    `session.run` on a ready tensor, the file as it is
    fewer   the same, in the fewer steps that the module runs it in (`inference/rewritten.py`),
            where it does: the floor, which nothing can be below
    resize  one resize by OpenCV before that, and nothing else: what any way takes at the least
    tensor  planes and scale as well, but nothing of what the model says is read
    least   the same, and the least that finds boxes in the answer: what no one who does it by
            NumPy and OpenCV can be much quicker than
    naive   the tutorials' way, with our session options, and with the runtime's own
    ours    `Runner.infer`, with every check, to a `Detections` or `Classification`; and the same
            with `rewrite` false

All in one thread, in turns, frame by frame, each on a session of its own. Capture, decision and
sending are not in it.
"""

from functools import partial
from operator import attrgetter
from typing import Final

from bench.agreement import REWRITTEN_PX, agreement
from bench.contenders import (
    Bare,
    after_resize,
    after_tensor,
    least_way,
    naive_way,
    ready_tensor,
)
from bench.context import Context
from bench.harness import Turn, compare, in_rounds, settled, timed
from bench.least import found
from bench.ratios import BASE, COLUMNS
from bench.report import Report, Table
from bench.subjects import Subject, as_it_is
from visionedge.entities import Image

_WARM_UP: Final = 3


def run(context: Context) -> Report:
    """Measure every subject."""
    return context.report("overhead", partial(_table, context))


def _table(context: Context, subject: Subject) -> Table:
    def bare() -> Bare:
        # One each, as ours has: several on one would find in the cache what the others left, and
        # ours alone would find its own weights pushed out.
        return Bare(subject.model)

    def fewest() -> Bare:
        return Bare(subject.model, rewrite=True)

    base, floor, tensor, frames = bare(), fewest(), ready_tensor(subject), subject.frames
    runner, unchanged = subject.model.runner(), as_it_is(subject.model).runner()
    same_options = naive_way(subject, bare())
    by_default = naive_way(subject, Bare(subject.model, default_options=True))
    resized, unread = after_resize(subject, fewest()), after_tensor(subject, fewest())
    shortest = least_way(subject, fewest())
    agreement(subject, runner.infer, lambda image: found(shortest(image), image))
    agreed = f"{agreement(subject, unchanged.infer, same_options, by_default)}"
    if floor.is_rewritten:
        apart = agreement(subject, runner.infer, same_options, within_px=REWRITTEN_PX)
        agreed += f"; in fewer steps within {apart.farthest:.1g} {apart.unit}"

    def frame(number: int) -> Image:
        return frames[number % len(frames)]

    turns: dict[str, Turn] = {
        BASE: timed(lambda _: base.run(tensor)),
        "resize, then bare": timed(lambda number: resized(frame(number))),
        "tensor, then bare": timed(lambda number: unread(frame(number))),
        "tensor, bare, least answer": timed(lambda number: shortest(frame(number))),
        "naive, same options": timed(lambda number: same_options(frame(number))),
        "naive, default options": settled(timed(lambda number: by_default(frame(number)))),
        "ours, Runner.infer": timed(lambda number: runner.infer(frame(number))),
    }
    if floor.is_rewritten:
        turns["bare, fewer steps"] = timed(lambda _: floor.run(tensor))
        turns["ours, the file as it is"] = timed(lambda number: unchanged.infer(frame(number)))
    with context.progress(f"overhead {subject.role}", context.pairs) as tick:
        rounds = in_rounds(
            turns, context.pairs, warm_up=_WARM_UP, patience_s=context.patience_s, tick=tick
        )
    return Table(
        title=f"{subject.role}: {subject.title}; {context.pairs} pairs",
        rows=compare(rounds, BASE),
        columns=COLUMNS,
        notes=(
            f"ready 1080p frames ({subject.pictures}); {agreed}",
            rounds.disturbance,
        ),
        bar=attrgetter("ratio"),
    )
