"""Frames a second while the link is at fault, over those while it is not, row by row.

The module runs as its own process on the virtual line, paced as a camera is, with the real SDK
against a devhub in this process. For each row of the behaviour table two turns follow each
other: the row in force, and the row over while the link recovers. Frames are counted by the
module itself (`/metrics`), from the moment of one to the moment of another.

    during   frames a second in force, over the median of all turns without a fault: the camera's
             pace is fixed, so this is what the line should give at any moment
    after    the same while the link recovers
    decided  of the frames that the camera gave in force, the share that was decided on

A figure below 1 says that a fault of the hub costs frames: by a lock, by the GIL, or by a busy
loop. The promise is 0.95. `decided` holds on a busy machine too. `during` and `after` are what
others leave of it as well: the lowest is looked at again, a few times, and the median counts;
and where nine in ten turns after a fault did not give 0.95 either, they are not judged, and a
note says so. `nothing` is a row in which nothing goes wrong.
"""

import re
import socket
import statistics
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final

from bench.context import Context
from bench.report import Column, Report, Table, Unavailable
from bench.subjects import ROOT
from demo.module import ModuleRun
from devhub import ROWS, DevHub, Row

_FPS: Final = 12
_TURN_S: Final = 1.2
_CONTROL: Final = "nothing"
_ROUNDS_EACH: Final = 4
"""One round here takes as long as so many of the other benchmarks."""
_AGAIN: Final = 6
"""Looks at what was below, in all rounds together."""
_START_S: Final = 60.0
_LOOK_S: Final = 0.01
_ASK_S: Final = 10.0
_LEAST: Final = 0.95
_DECIDED: Final = re.compile(r"^visionedge_frames_processed_total(?:\{.*\})? (\S+)$", re.MULTILINE)
_REPLACED: Final = re.compile(
    r'^visionedge_frames_dropped_total\{.*cause="replaced".*\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the line gave for a moment.

    Attributes:
        fps: frames a second that were decided on.
        decided: of those that the camera gave, the share.
    """

    fps: float
    decided: float


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One row of the behaviour table.

    Attributes:
        name: of the row.
        ratio: median over the rounds of frames a second in force, to those without a fault.
        least: the lowest of these.
        ratio_after: the same as `ratio` while the link recovers.
        decided: median share of the camera's frames that were decided on in force.
        rounds: how many.
    """

    name: str
    ratio: float
    least: float
    ratio_after: float
    decided: float
    rounds: int

    @property
    def lower(self) -> float:
        """Of in force, after and decided."""
        return min(self.ratio, self.ratio_after, self.decided)


Turns = Mapping[str, Sequence[tuple[Turn, Turn]]]
"""By row: in force, and after."""


def run(context: Context) -> Report:
    """Measure every row."""
    rounds = max(1, context.blocks // _ROUNDS_EACH)
    try:
        turns = _measured(context, rounds)
    except Unavailable as error:
        return Report("faults", [], [str(error)])
    rows = rows_of(turns)
    calm = [after.fps / _FPS for taken in turns.values() for _, after in taken]
    worst, *_, best = statistics.quantiles(calm, n=10)
    low = [row.name for row in rows if (row.decided if worst < _LEAST else row.lower) < _LEAST]
    notes = (
        f"below {_LEAST}: {', '.join(low) or 'none'}"
        f"{', by `decided` alone: the machine was too busy for the others' * (worst < _LEAST)}",
        f"camera at {_FPS} frames/s; eight in ten turns after a fault gave {worst:.3f} to "
        f"{best:.3f} of it",
    )
    columns = (
        Column("", attrgetter("name")),
        Column("during", lambda row: f"{row.ratio:.3f}"),
        Column("least", lambda row: f"{row.least:.3f}"),
        Column("after", lambda row: f"{row.ratio_after:.3f}"),
        Column("decided", lambda row: f"{row.decided:.3f}"),
        Column("turns", lambda row: f"{row.rounds}"),
    )
    title = f"pcb-defects on the virtual line; turns of {_TURN_S} s"
    return Report("faults", [Table(title, rows, columns, notes, attrgetter("ratio"))])


def _measured(context: Context, rounds: int) -> Turns:
    rows = {_CONTROL: Row("nothing goes wrong"), **ROWS}
    turns: dict[str, list[tuple[Turn, Turn]]] = {name: [] for name in rows}
    page = f"http://127.0.0.1:{_free_port()}/metrics"
    with DevHub() as hub:
        module = ModuleRun(
            [], _environment(hub, page, context.folder), context.folder, status=False
        )
        try:
            _await_frames(page, module)
            with context.progress("faults", rounds * len(rows)) as tick:
                for _ in range(rounds):
                    for name, row in rows.items():
                        turns[name].append(_turns(hub, page, row))
                        tick()
            for _ in range(_AGAIN * rounds):
                lowest = min(rows_of(turns), key=attrgetter("lower"))
                if lowest.lower >= _LEAST:
                    break
                turns[lowest.name].append(_turns(hub, page, rows[lowest.name]))
        finally:
            module.stop(_ASK_S)
    return turns


def _turns(hub: DevHub, page: str, row: Row) -> tuple[Turn, Turn]:
    row.begin(hub)
    during = turn_of(page, _TURN_S)
    row.end(hub)
    return during, turn_of(page, _TURN_S)


def rows_of(turns: Turns) -> list[FaultRow]:
    """What the turns come to, by row."""
    calm_fps = statistics.median(after.fps for taken in turns.values() for _, after in taken)
    rows = []
    for name, taken in turns.items():
        ratios = [during.fps / calm_fps for during, _ in taken]
        rows.append(
            FaultRow(
                name=name,
                ratio=statistics.median(ratios),
                least=min(ratios),
                ratio_after=statistics.median(after.fps / calm_fps for _, after in taken),
                decided=statistics.median(during.decided for during, _ in taken),
                rounds=len(taken),
            )
        )
    return rows


def turn_of(page: str, turn_s: float) -> Turn:
    """What the line gives over a turn, from one frame to another.

    Raises:
        Unavailable: the line stands.
    """
    first, began_s = _next_frame(page)
    time.sleep(turn_s)
    last, ended_s = _next_frame(page)
    decided, replaced = last[0] - first[0], last[1] - first[1]
    return Turn(decided / (ended_s - began_s), decided / (decided + replaced))


def _next_frame(page: str) -> tuple[tuple[float, float], float]:
    """Frames decided on and replaced, when one more has been decided on, and when that was.

    Raises:
        Unavailable: none is.
    """
    before, deadline_s = _frames(page)[0], time.perf_counter() + _ASK_S
    while time.perf_counter() < deadline_s:
        now = _frames(page)
        if now[0] > before:
            return now, time.perf_counter()
        time.sleep(_LOOK_S)
    raise Unavailable(f"the line stands: no frame in {_ASK_S} s")


def _frames(page: str) -> tuple[float, float]:
    with urllib.request.urlopen(page, timeout=_ASK_S) as answer:
        text = answer.read().decode()
    return sum(map(float, _DECIDED.findall(text))), sum(map(float, _REPLACED.findall(text)))


def _await_frames(page: str, module: ModuleRun) -> None:
    deadline_s = time.perf_counter() + _START_S
    while time.perf_counter() < deadline_s:
        with suppress(OSError):
            if _frames(page)[0] > _FPS:
                return
        time.sleep(_LOOK_S)
    raise Unavailable(f"the module shows no frames after {_START_S:.0f} s, see {module.log}")


def _environment(hub: DevHub, page: str, folder: Path) -> Mapping[str, str]:
    port = page.rpartition(":")[2].partition("/")[0]
    camera = f'{{"line": {{"kind": "pattern", "fps": {_FPS}, "defect_rate": 2}}}}'
    return {
        **hub.environment(),
        "VISIONEDGE__SPOOL__PATH": str(folder / "faults.db"),
        "VISIONEDGE__EGRESS__PATH": str(folder / "faults.jsonl"),
        "VISIONEDGE__MODELS__DEFAULT__PATH": str(ROOT / "models" / "pcb-defects"),
        "VISIONEDGE__TELEMETRY__INTERVAL_S": "1",
        # So that each fault meets a link, and no pause after the one before.
        "VISIONEDGE__UPLINK__MAX_PAUSE_S": "1",
        "VISIONEDGE__HTTP__HOST": "127.0.0.1",
        "VISIONEDGE__HTTP__PORT": port,
        "VISIONEDGE__CAMERAS": camera,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
