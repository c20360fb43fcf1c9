"""Several cameras on one machine: results a second, how old they are, and what it costs.

    naive   a loop a camera, the tutorials' way, the runtime's defaults: first in, first out
    ours    the whole module: newest frame wins, cameras in turn, a worker a core

One camera, four and eight at a pace that the machine can follow, and eight that ask for more than
it can give. All play one clip in step, so what is in doubt for one is in doubt for all at once.
Each way runs in a process of its own, one after the other, in rounds. A frame's age is from when
it was due to when its result was there; `end/mid` is the median age of the last quarter over that
of all, and 1 is flat; `least` is the share of the camera that got the fewest results, of the mean;
`a further` is the memory of each camera after the first. Below the table stands what ours needs
with a hub, and what the least program needs that decodes one camera and runs the model, in as few
steps as ours (`least_memory`), which no module can be below: with two runs at once, with the
libraries that a module of this kind is written with, with doubts that are held, and for each
further camera.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.child import Child, Used
from bench.clip import CODEC, write_clip
from bench.cold_start import write_bundle
from bench.context import Context
from bench.harness import repeated
from bench.least_memory import WORD as LOOKED
from bench.load import cores
from bench.many import WORD
from bench.naive import reader_of
from bench.report import Column, Report, Table
from bench.subjects import Subject
from devhub import DevHub
from visionedge.inference.rewritten import rewritten

_SECONDS: Final = 6.0
_ROUNDS: Final = 3
_CALM: Final = 0.5
"""Of what the cores could do if nothing but decoding and the model took time."""
_OVERLOAD: Final = 4 / 3
"""Live video is decoded whole, whatever is looked at: at twice of what the cores could do, the
decoder alone would take four fifths of them for a model as quick as it is."""
_SLOW_FPS: Final = 15.0
_WAYS: Final = ("naive", "ours")
_PROBE_S: Final = 0.3
LIBRARIES: Final = ("pydantic", "prometheus_client", "sqlite3", "ssl", "azure.iot.device")
"""Without which a module could take no settings, tell no metrics, keep no spool, reach no hub."""
_HELD: Final = 2
"""A doubt that waits for its best view, and one that is looked at again."""
_THRIFTY: Final = {
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}
"""What spares memory without being in the way; the module has it so too."""


@dataclass(frozen=True, slots=True)
class _Line:
    """So many cameras, and what they ask of what the cores could do."""

    count: int
    load: float

    @property
    def title(self) -> str:
        """With the load where it is too much."""
        much = ", too much" if self.load > 1 else ""
        return f"{self.count} camera{'s' * (self.count > 1)}{much}"

    def fps(self, step_s: float) -> float:
        """Of each camera; one alone has a factory's pace."""
        fps = self.load * cores() / step_s / self.count
        return min(_SLOW_FPS, fps) if self.count == 1 else fps


_LINES: Final = (_Line(1, _CALM), _Line(4, _CALM), _Line(8, _CALM), _Line(8, _OVERLOAD))


@dataclass(frozen=True, slots=True)
class Row:
    """One way with so many cameras; medians over the rounds.

    Attributes:
        way: which.
        contender: way and number of cameras.
        asked_per_s: frames that the cameras gave.
        per_s: results.
        p50_ms: age.
        p99_ms: age.
        flat: median age of the last quarter over that of all.
        least_share: of the camera with fewest results, over the mean.
        cores: CPU, in cores.
        cpu_ms: CPU a result.
        peak_mb: memory.
        further_mb: what each camera after the first takes of it; None for the first.
        ratio: results a second over those of the naive way, the median of the rounds.
        cpu_ratio: CPU a result over that of the naive way.
    """

    way: str
    contender: str
    asked_per_s: float
    per_s: float
    p50_ms: float
    p99_ms: float
    flat: float
    least_share: float
    cores: float
    cpu_ms: float
    peak_mb: float
    further_mb: float | None
    ratio: float
    cpu_ratio: float


_COLUMNS: Final = (
    Column("", lambda row: row.contender),
    Column("asked/s", lambda row: f"{row.asked_per_s:.0f}"),
    Column("results/s", lambda row: f"{row.per_s:.1f}"),
    Column("age p50", lambda row: f"{row.p50_ms:.0f}"),
    Column("p99 ms", lambda row: f"{row.p99_ms:.0f}"),
    Column("end/mid", lambda row: f"{row.flat:.2f}"),
    Column("least", lambda row: f"{row.least_share:.2f}"),
    Column("cores", lambda row: f"{row.cores:.2f}"),
    Column("CPU ms", lambda row: f"{row.cpu_ms:.1f}"),
    Column("MB", lambda row: f"{row.peak_mb:.0f}"),
    Column("a further", lambda row: "" if row.further_mb is None else f"{row.further_mb:.1f}"),
    Column("of naive", lambda row: f"{row.ratio:.2f}"),
    Column("CPU of naive", lambda row: f"{row.cpu_ratio:.2f}"),
)


def run(context: Context) -> Report:
    """Measure every subject."""
    return context.report("cameras", partial(_table, context))


def _table(context: Context, subject: Subject) -> Table:
    folder = context.folder / f"cameras-{subject.role}"
    bundle = write_bundle(folder / "bundle", subject.model)
    clip = write_clip(folder / "clip.mp4", subject.frames)
    step_s = _step_s(subject, clip)
    rows: list[Row] = []
    with context.progress(f"cameras {subject.role}", len(_LINES) * _ROUNDS * 2) as tick:
        for line in _LINES:
            fps = line.fps(step_s)
            told = _rounds(bundle, clip, folder, line, fps, tick)
            rows += [_row(way, line, fps, told, rows) for way in _WAYS]
    return Table(
        title=f"{subject.role}: {subject.title}; bars: results/s over the naive way's; "
        f"medians of {_ROUNDS} rounds of {_SECONDS:.0f} s",
        rows=rows,
        columns=_COLUMNS,
        notes=(
            f"1080p {CODEC} ({subject.pictures}); decoding and running one frame takes "
            f"{step_s * 1e3:.1f} ms of CPU, so {cores()} cores could do "
            f"{cores() / step_s:.0f} a second",
            _linked_note(bundle, clip, folder, _LINES[0].fps(step_s)),
            *_least_notes(_in_fewer_steps(bundle), clip),
        ),
        bar=lambda row: float(row.ratio),
    )


def _in_fewer_steps(bundle: Path) -> Path:
    """The bundle as the module runs its model; itself where nothing of it is rewritten."""
    content = rewritten(bundle / "model.onnx")
    if content is None:
        return bundle
    other = bundle.with_name(f"{bundle.name}-rewritten")
    shutil.copytree(bundle, other)
    (other / "model.onnx").write_bytes(content)
    return other


def _linked_note(bundle: Path, clip: Path, folder: Path, fps: float) -> str:
    """The module with one camera once more, now with a hub: the rows above are without."""
    peaks_mb = []
    with DevHub() as hub:
        for number in range(_ROUNDS):
            place = folder / f"linked-{number}"
            place.mkdir()
            told = measure("ours", bundle, clip, place, 1, fps, hub=hub.environment())
            if hub.connect_count <= number:
                return "MB of ours with a link to a hub: not measured, it did not connect"
            peaks_mb.append(told["peak_mb"])
    return f"MB of ours with one camera and a link to a hub over TLS: {median(peaks_mb):.0f}"


def _least_notes(bundle: Path, clip: Path) -> Sequence[str]:
    one, two, count = least_mb(bundle, clip, 1), least_mb(bundle, clip, 2), _LINES[1].count
    told = least_mb(bundle, clip, 2, libraries=LIBRARIES)
    held = least_mb(bundle, clip, 2, held=_HELD, libraries=LIBRARIES)
    further = (least_mb(bundle, clip, 2, count) - two) / (count - 1)
    return (
        f"MB of the least program, which decodes one camera and runs the model: {one:.0f}, and "
        f"{two:.0f} with two runs at once, as where a second look meets the next frame",
        f"MB of it with two runs and what settings, metrics, spool and link are written with "
        f"({', '.join(LIBRARIES)}): {told:.0f}, and {held:.0f} with {_HELD} doubts that are held",
        f"MB of each further camera in it, of {count}: {further:.0f}, a decoder and one frame",
    )


def least_mb(
    bundle: Path,
    clip: Path,
    runs: int,
    cameras: int = 1,
    held: int = 0,
    libraries: Sequence[str] = (),
) -> float:
    """Peak of the least program with so many runs and cameras at once, MB.

    Args:
        bundle: whose model is run.
        clip: what each camera shows.
        runs: of the model, at once.
        cameras: decoded at once.
        held: frames that are kept besides.
        libraries: imported besides, by name.

    Raises:
        Unavailable: it ended early, as where the clip cannot be read.
    """
    counts = [str(runs), str(cameras), str(held)]
    arguments = ["-m", "bench.least_memory", str(bundle), str(clip), *counts]
    with Child([*arguments, *libraries], _THRIFTY) as child:
        return child.until(LOOKED).peak_mb


def pace(subject: Subject, clip: Path) -> float:
    """A rate of one camera that leaves half of what the cores can do, frames a second."""
    return _CALM * cores() / _step_s(subject, clip)


def _step_s(subject: Subject, clip: Path) -> float:
    """CPU of decoding one frame and looking at it."""
    read, runner = reader_of(clip), subject.model.runner()
    return repeated(lambda: runner.infer(read()), _PROBE_S)(0).cpu_s


def _rounds(
    bundle: Path, clip: Path, folder: Path, line: _Line, fps: float, tick: Callable[[], object]
) -> list[Mapping[str, Mapping[str, Any]]]:
    rounds: list[Mapping[str, Mapping[str, Any]]] = []
    for number in range(_ROUNDS):
        told = {}
        for way in _WAYS if number % 2 else reversed(_WAYS):
            place = folder / f"{way}-{line.count}-{line.load:.2f}-{number}"
            place.mkdir()
            told[way] = measure(way, bundle, clip, place, line.count, fps)
            tick()
        rounds.append(told)
    return rounds


def measure(
    way: str,
    bundle: Path,
    clip: Path,
    place: Path,
    count: int,
    fps: float,
    seconds: float = _SECONDS,
    escalate: float = 0.0,
    hub: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """One way in a process of its own; its figures, with its memory.

    Args:
        way: of `_WAYS`.
        bundle: whose model looks.
        clip: what each camera shows.
        place: an empty folder for what it writes.
        count: of cameras.
        fps: of each.
        seconds: that are measured.
        escalate: share of the frames that are asked for, 0..1.
        hub: the environment of a module that has one.

    Raises:
        Unavailable: it ended early.
    """
    arguments = ["-m", "bench.many", way, str(bundle), str(clip), str(place)]
    limits = ["--cameras", str(count), "--fps", f"{fps:.3f}", "--seconds", str(seconds)]
    limits += ["--escalate", str(escalate), *(["--linked"] if hub else [])]
    with Child([*arguments, *limits], hub) as child:
        used: Used = child.until(WORD)
    figures: Mapping[str, Any] = json.loads(used.line.partition(WORD)[2])
    return {**figures, "peak_mb": used.peak_mb}


def _row(
    way: str,
    line: _Line,
    fps: float,
    rounds: list[Mapping[str, Mapping[str, Any]]],
    before: Sequence[Row],
) -> Row:
    def middle(of: Callable[[Mapping[str, Any]], float]) -> float:
        return median(of(told[way]) for told in rounds)

    def cpu(told: Mapping[str, Any]) -> float:
        return float(told["cores"] / max(told["per_s"], 1e-9))

    peak_mb = middle(lambda told: told["peak_mb"])
    alone_mb = next((row.peak_mb for row in before if row.way == way), None)
    return Row(
        way=way,
        contender=f"{way}, {line.title}",
        asked_per_s=line.count * fps,
        per_s=middle(lambda told: told["per_s"]),
        p50_ms=middle(lambda told: told["p50_ms"]),
        p99_ms=middle(lambda told: told["p99_ms"]),
        flat=middle(lambda told: told["late_ms"] / max(told["p50_ms"], 1e-9)),
        # A camera without a single result is none that is counted.
        least_share=middle(lambda told: told["least_share"] * (told["cameras"] == line.count)),
        cores=middle(lambda told: told["cores"]),
        cpu_ms=1000 * middle(cpu),
        peak_mb=peak_mb,
        further_mb=alone_mb and (peak_mb - alone_mb) / (line.count - 1),
        ratio=median(told[way]["per_s"] / max(told["naive"]["per_s"], 1e-9) for told in rounds),
        cpu_ratio=median(cpu(told[way]) / cpu(told["naive"]) for told in rounds),
    )
