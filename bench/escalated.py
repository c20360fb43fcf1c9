"""How old results are while every fifth frame is escalated: the second table of `bookkeeping`.

The whole module with and without, each in a process of its own, in rounds: snapshots are made and
encoded beside the frame loop, and must not make results older.

What this does not promise: a quiet machine. Of all figures a 99th percentile suffers first from
what others do, which is why its interval stands beside it: one hangs on six frames, and in a single
round is 0.7 to 1.3 of that in another. `--blocks 30` makes the interval half as wide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from bench.cameras import measure, pace
from bench.clip import write_clip
from bench.cold_start import write_bundle
from bench.context import Context
from bench.harness import median_interval
from bench.report import Column, Table
from bench.subjects import Subject

_SHARE: Final = 0.2
_SECONDS: Final = 8.0
_Told = Mapping[float, Mapping[str, Any]]
"""By share: the figures of one process."""


@dataclass(frozen=True, slots=True)
class Aged:
    """The whole module with a share of its frames escalated.

    Attributes:
        contender: which share.
        per_s: results.
        p50_ms: age.
        p99_ms: age.
        ratio: of the 99th percentile to that without, the median of the rounds.
        low: lower end of the 95 % interval of that median.
        high: upper end.
    """

    contender: str
    per_s: float
    p50_ms: float
    p99_ms: float
    ratio: float
    low: float
    high: float


def aged(context: Context, subject: Subject) -> Table:
    """Ages of results of one model."""
    folder = context.folder / f"aged-{subject.role}"
    bundle = write_bundle(folder / "bundle", subject.model)
    clip = write_clip(folder / "clip.mp4", subject.frames)
    fps = pace(subject, clip)
    rounds: list[_Told] = []
    with context.progress(f"escalating {subject.role}", 2 * context.blocks) as tick:
        for number in range(context.blocks):
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
            *median_interval(told[share]["p99_ms"] / told[0.0]["p99_ms"] for told in rounds),
        )
        for share in (0.0, _SHARE)
    ]
    return Table(
        title=(
            f"{subject.role}: p99 of the age of results, over that without escalations; "
            f"one camera at {fps:.0f} frames/s, {context.blocks} rounds"
        ),
        rows=rows,
        columns=(
            Column("", lambda row: row.contender),
            Column("results/s", lambda row: f"{row.per_s:.1f}"),
            Column("age p50", lambda row: f"{row.p50_ms:.1f}"),
            Column("p99 ms", lambda row: f"{row.p99_ms:.1f}"),
            Column("p99 of without", lambda row: f"{row.ratio:.2f}"),
            Column("95 % interval", lambda row: f"{row.low:.2f} to {row.high:.2f}"),
        ),
        bar=lambda row: float(row.ratio),
    )
