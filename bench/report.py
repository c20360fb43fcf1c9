"""What a benchmark found: as a table to read, and as JSON to keep.

The JSON holds every figure unrounded, with the machine and the versions beside them,
because a figure without them says nothing a month later.
"""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench.load import cores
from visionedge.errors import VisionEdgeError

_PACKAGES: Final = ("onnxruntime", "opencv-python-headless", "numpy")


class Unavailable(VisionEdgeError):
    """Something a benchmark needs is not on this machine; it is skipped with this word."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        heading: over it.
        text: a row's cell.
    """

    heading: str
    text: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that belong together.

    Attributes:
        title: what was measured.
        rows: one dataclass a line.
        columns: what of them is printed; the first is the name and stands left.
        notes: printed below.
        bar: what of a row is drawn, as a ratio to the base; None where nothing is.
    """

    title: str
    rows: Sequence[Any]
    columns: Sequence[Column]
    notes: Sequence[str] = ()
    bar: Callable[[Any], float] | None = None

    def __str__(self) -> str:
        cells = [[column.heading for column in self.columns]]
        cells += [[column.text(row) for column in self.columns] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [self.title]
        for row in cells:
            name, *figures = (
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join(["", name, *figures]).rstrip())
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


@dataclass(frozen=True, slots=True)
class Report:
    """One run of one benchmark.

    Attributes:
        benchmark: its name.
        tables: its result.
        skipped: what could not be measured, and why.
        measured_at: UTC.
    """

    benchmark: str
    tables: Sequence[Table]
    skipped: Sequence[str] = ()
    measured_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def save(self, folder: Path) -> Path:
        """Write `<benchmark>.json`; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.benchmark}.json"
        path.write_text(json.dumps(self.document(), indent=1) + "\n", encoding="utf-8")
        return path

    def document(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return {
            "benchmark": self.benchmark,
            "measured_at": self.measured_at.isoformat(),
            "machine": machine(),
            "skipped": list(self.skipped),
            "tables": [
                {
                    "title": table.title,
                    "rows": [asdict(row) for row in table.rows],
                    "notes": list(table.notes),
                }
                for table in self.tables
            ],
        }


def machine() -> Mapping[str, str | int]:
    """What the figures hang on: processor, cores, Python and packages."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = dict(line.split(":", 1) for line in lines if ":" in line)
    keys = {key.strip(): value.strip() for key, value in named.items()}
    return keys.get("model name") or keys.get("Model") or platform.processor()
