"""A report as a picture: a bar a row, drawn with OpenCV, which is installed anyway.

Bars are ratios to the base of their table, so that tables with different models stand in
one scale; the line at 1 is the base.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from bench.report import Report, Table
from visionedge.entities import Image

Color = tuple[int, int, int]
_WIDTH: Final = 1100
_LEFT: Final = 320
_RIGHT: Final = 90
_ROW: Final = 26
_TITLE: Final = 44
_PAPER: Final[Color] = (255, 255, 255)
_INK: Final[Color] = (40, 40, 40)
_OTHERS: Final[Color] = (190, 180, 170)
_OURS: Final[Color] = (150, 105, 20)
_LEAST_SCALE: Final = 1.25
"""Of the axis; more where a bar is longer."""


def draw(report: Report) -> Image:
    """All tables of a report that have bars, (H, W, 3) uint8 BGR."""
    tables = [table for table in report.tables if table.bar]
    height = sum(_TITLE + _ROW * len(table.rows) for table in tables) + _ROW
    canvas = np.full((height, _WIDTH, 3), _PAPER, np.uint8)
    longest = max(
        [_LEAST_SCALE, *(table.bar(row) for table in tables if table.bar for row in table.rows)]
    )
    px = (_WIDTH - _LEFT - _RIGHT) / longest
    top = 0
    for table in tables:
        _draw_table(canvas, table, top, px)
        top += _TITLE + _ROW * len(table.rows)
    return canvas


def save(report: Report, folder: Path) -> Path | None:
    """Write `<benchmark>.png`; returns its path, or None where nothing is to be drawn."""
    if not any(table.bar for table in report.tables):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.benchmark}.png"
    cv2.imwrite(str(path), draw(report))
    return path


def _draw_table(canvas: Image, table: Table, top: int, px: float) -> None:
    _text(canvas, table.title, 12, top + 30, bold=True)
    first = top + _TITLE
    for place, row in enumerate(table.rows):
        y, ratio = first + place * _ROW, table.bar(row) if table.bar else 0.0
        name = table.columns[0].text(row)
        color = _OURS if name.startswith("ours") else _OTHERS
        end = _LEFT + round(ratio * px)
        cv2.rectangle(canvas, (_LEFT, y + 4), (end, y + _ROW - 4), color, cv2.FILLED)
        _text(canvas, name, 24, y + 18)
        _text(canvas, f"{ratio:.2f}", end + 8, y + 18)
    base = _LEFT + round(px)
    cv2.line(canvas, (base, first), (base, first + _ROW * len(table.rows)), _INK, 1)


def _text(canvas: Image, text: str, x: int, y: int, *, bold: bool = False) -> None:
    thickness = 2 if bold else 1
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, text, (x, y), font, 0.48, _INK, thickness, cv2.LINE_AA)
