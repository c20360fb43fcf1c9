"""Frames a second while the link is at fault, over those just before, for each row of the table.

The module runs as its own process on the virtual line, paced as a camera is, with the real SDK
against a devhub in this process. For each row of the behaviour table three turns follow each
other: nothing wrong, the row in force, and the row over while the link recovers. Frames are
counted by the module itself (`/metrics`), from the moment of one to the moment of another. So a
figure below 1 says that a fault of the hub costs frames: by a lock, by the GIL, or by a busy loop.

The promise is 0.95. `nothing` is a row in which nothing goes wrong: it tells what the machine
itself does to such a figure, and where it is below 1 the others say little.
"""

import re
import socket
import statistics
import time
import urllib.request
from collections.abc import Mapping
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
_TURN_S: Final = 2.5
_CONTROL: Final = "nothing"
_ROUNDS_EACH: Final = 4
"""One round here takes as long as so many of the other benchmarks."""
_START_S: Final = 60.0
_LOOK_S: Final = 0.01
_ASK_S: Final = 10.0
_LEAST: Final = 0.95
_COUNTER: Final = re.compile(r"^visionedge_frames_processed_total(?:\{.*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One row of the behaviour table.

    Attributes:
        name: of the row.
        before_fps: median over the rounds, with nothing wrong.
        ratio: median of frames a second in force to before.
        least: the lowest of these.
        ratio_after: the same while the link recovers.
        rounds: how many.
    """

    name: str
    before_fps: float
    ratio: float
    least: float
    ratio_after: float
    rounds: int


def run(context: Context) -> Report:
    """Measure every row."""
    rounds = max(1, context.blocks // _ROUNDS_EACH)
    try:
        rows = _measured(context, rounds)
    except Unavailable as error:
        return Report("faults", [], [str(error)])
    low = [row.name for row in rows if row.ratio < _LEAST]
    note = f"below {_LEAST}: {', '.join(low) or 'none'}; camera at {_FPS} frames/s"
    columns = (
        Column("", attrgetter("name")),
        Column("frames/s before", lambda row: f"{row.before_fps:.1f}"),
        Column("during", lambda row: f"{row.ratio:.3f}"),
        Column("least", lambda row: f"{row.least:.3f}"),
        Column("after", lambda row: f"{row.ratio_after:.3f}"),
    )
    title = f"pcb-defects on the virtual line; {rounds} rounds of {_TURN_S} s each"
    return Report("faults", [Table(title, rows, columns, (note,), attrgetter("ratio"))])


def _measured(context: Context, rounds: int) -> list[FaultRow]:
    rows = {_CONTROL: Row("nothing goes wrong"), **ROWS}
    turns: dict[str, list[tuple[float, float, float]]] = {name: [] for name in rows}
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
        finally:
            module.stop(_ASK_S)
    return [row_of(name, taken) for name, taken in turns.items()]


def _turns(hub: DevHub, page: str, row: Row) -> tuple[float, float, float]:
    """Frames a second before, during and after a row."""
    before = rate_of(page, _TURN_S)
    row.begin(hub)
    during = rate_of(page, _TURN_S)
    row.end(hub)
    return before, during, rate_of(page, _TURN_S)


def row_of(name: str, turns: list[tuple[float, float, float]]) -> FaultRow:
    """What a row's turns come to: before, during and after, one of each a round."""
    ratios = [during / before for before, during, _ in turns]
    return FaultRow(
        name=name,
        before_fps=statistics.median(before for before, _, _ in turns),
        ratio=statistics.median(ratios),
        least=min(ratios),
        ratio_after=statistics.median(after / before for before, _, after in turns),
        rounds=len(turns),
    )


def rate_of(page: str, turn_s: float) -> float:
    """Frames a second over a turn, from one frame to another.

    Raises:
        Unavailable: the line stands.
    """
    first, began_s = _next_frame(page)
    time.sleep(turn_s)
    last, ended_s = _next_frame(page)
    return (last - first) / (ended_s - began_s)


def _next_frame(page: str) -> tuple[float, float]:
    """Frames processed when one more has been, and when that was.

    Raises:
        Unavailable: none is.
    """
    before, deadline_s = _frames(page), time.perf_counter() + _ASK_S
    while time.perf_counter() < deadline_s:
        now = _frames(page)
        if now > before:
            return now, time.perf_counter()
        time.sleep(_LOOK_S)
    raise Unavailable(f"the line stands: no frame in {_ASK_S} s")


def _frames(page: str) -> float:
    with urllib.request.urlopen(page, timeout=_ASK_S) as answer:
        return sum(map(float, _COUNTER.findall(answer.read().decode())))


def _await_frames(page: str, module: ModuleRun) -> None:
    deadline_s = time.perf_counter() + _START_S
    while time.perf_counter() < deadline_s:
        try:
            if _frames(page) > _FPS:
                return
        except OSError:
            pass
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
        "VISIONEDGE__HTTP__HOST": "127.0.0.1",
        "VISIONEDGE__HTTP__PORT": port,
        "VISIONEDGE__CAMERAS": camera,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
