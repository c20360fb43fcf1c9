"""Frames a second of the whole module over the bare run of its model, decoding included.

    bare    `session.run` on a ready tensor, over and over: one thread, and the runtime's
            default of all cores
    decode  one thread decodes the file, and for each frame another makes a bare run: what no way
            can beat that looks at each frame of a video with this decoder and this runtime
    least   the same, but each frame is made a tensor, and the least that finds boxes in the answer
            is done (`bench.least`): nothing is decided, counted, followed or kept
    naive   one loop: read a frame of the file, the tutorials' way, the runtime's defaults
    ours    camera feed, slots, workers, decision, telemetry, spool

Ours plays the file without a pace, as the naive loop does: each frame is decoded and looked
at, so the figure is what the machine can do, decoding included. One worker stands against
the one thread of the bare run; a worker a core is how the module runs by default.

The last rows are a live camera, with a worker a core and with one more: it gives a quarter more
frames a second than the bare run in one thread could look at, whether or not somebody takes them,
and what is replaced is lost. Its figure is what of the bare run is left beside decoding all of
them.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from operator import attrgetter
from pathlib import Path
from threading import BoundedSemaphore, local
from typing import Final, TypeVar

from bench.agreement import agreement
from bench.clip import CODEC, write_clip
from bench.contenders import Bare, least_way, naive_way, ready_tensor
from bench.context import Context
from bench.harness import Sample, Turn, compare, in_rounds, repeated, settled
from bench.least import found
from bench.line import Line
from bench.load import cores
from bench.naive import reader_of
from bench.ratios import BASE, COLUMNS
from bench.report import Report, Table
from bench.subjects import Subject

T = TypeVar("T")
_TURN_S: Final = 0.4
_WARM_UP: Final = 1
_PROBES: Final = 2
_FASTER: Final = 1.25
"""A camera at the pace of the bare run would be what is measured, and not the module."""


def run(context: Context) -> Report:
    """Measure every subject."""
    return context.report("overlap", partial(_table, context))


def _table(context: Context, subject: Subject) -> Table:
    clip = write_clip(context.folder / f"{subject.role}.mp4", subject.frames)
    turns = _others(subject, clip)
    # By CPU time, because others may be at work just now.
    run_s = min(turns[BASE](n).cpu_s for n in range(_PROBES))
    decode_s = repeated(reader_of(clip), _TURN_S)(0).cpu_s
    with ExitStack() as lines:

        def line(name: str, workers: int, fps: float | None = None) -> None:
            made = Line(subject.model, clip, context.folder, workers=workers, fps=fps)
            turns[name] = partial(_line_turn, lines.enter_context(made))

        for workers in sorted({1, cores()}):
            line(f"ours, {workers} worker{'s' * (workers > 1)}", workers)
        fps = _FASTER / run_s
        # One worker more as well, as `visionedge tune` may find best.
        for workers in (cores(), cores() + 1):
            line(f"ours, a camera of {fps:.0f} frames/s, {workers} workers", workers, fps)
        tick = lines.enter_context(context.progress(f"overlap {subject.role}", context.blocks))
        rounds = in_rounds(
            turns, context.blocks, warm_up=_WARM_UP, patience_s=context.patience_s, tick=tick
        )
    return Table(
        title=f"{subject.role}: {subject.title}; {context.blocks} rounds of {_TURN_S} s each",
        rows=compare(rounds, BASE),
        columns=COLUMNS,
        notes=(
            f"1080p {CODEC} ({subject.pictures}); decoding a frame takes {decode_s * 1e3:.1f} ms "
            "of CPU",
            rounds.disturbance,
        ),
        bar=attrgetter("ratio"),
    )


def _others(subject: Subject, clip: Path) -> dict[str, Turn]:
    same, own = Bare(subject.model), Bare(subject.model, default_options=True)
    fewest = Bare(subject.model, rewrite=True)
    tensor = ready_tensor(subject)
    read, infer = reader_of(clip), naive_way(subject, own)
    shortest = least_way(subject, fewest)
    agreement(subject, subject.model.runner().infer, lambda image: found(shortest(image), image))
    return {
        BASE: repeated(lambda: same.run(tensor), _TURN_S),
        "bare, default options": settled(repeated(lambda: own.run(tensor), _TURN_S)),
        f"decode, bare in {cores()} threads": beside(
            reader_of(clip), lambda: lambda _: fewest.run(tensor), cores(), _TURN_S
        ),
        f"decode, tensor, bare, least answer in {cores()} threads": beside(
            reader_of(clip), lambda: least_way(subject, fewest), cores(), _TURN_S
        ),
        "naive loop, default options": settled(repeated(lambda: infer(read()), _TURN_S)),
    }


def beside(
    read: Callable[[], T], make: Callable[[], Callable[[T], object]], threads: int, seconds: float
) -> Turn:
    """A turn that reads in one thread, and looks in another once at each that was read.

    Args:
        read: gives the next frame.
        make: makes what looks at one; once for each thread, because it has buffers.
        threads: that look.
        seconds: how long to go on reading.
    """
    looks = [make() for _ in range(threads)]

    def turn(_: int) -> Sample:
        # One frame more than are looked at, so that nobody waits for the reader.
        free = BoundedSemaphore(threads + 1)
        own, left = local(), iter(looks)

        def begin() -> None:
            own.look = next(left)

        count = 0
        cpu_s, began = time.process_time(), time.perf_counter()
        with ThreadPoolExecutor(threads, initializer=begin) as pool:
            while time.perf_counter() - began < seconds or not count:
                frame = read()
                free.acquire()
                done = pool.submit(lambda frame: own.look(frame), frame)
                done.add_done_callback(lambda _: free.release())
                count += 1
        wall_s = time.perf_counter() - began
        return Sample(wall_s / count, (time.process_time() - cpu_s) / count)

    return turn


def _line_turn(line: Line, _: int) -> Sample:
    return line.turn(_TURN_S)
