"""The curves of `bench.doubt` as a picture, drawn with OpenCV, which is installed anyway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image

PATH: Final = Path("out/bench/doubt.png")
_SIZE: Final = 460
_LEFT, _TOP, _GAP, _LEGEND = 70, 50, 40, 200
_INK: Final = (40, 40, 40)
_STYLES: Final[Mapping[str, tuple[tuple[int, int, int], int]]] = {
    "oracle": ((60, 150, 60), 2),
    "random": ((150, 150, 150), 2),
    "max confidence": ((60, 60, 200), 2),
    "rules alone": ((200, 170, 80), 2),
    "default": ((160, 100, 0), 4),
}
_OTHERS: Final = (
    (200, 170, 120), (120, 190, 200), (190, 130, 190), (110, 160, 120),
    (90, 130, 200), (170, 170, 90), (140, 110, 110), (200, 200, 60),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Panel:
    """One set: its curves by policy, and the share that the default settings ask about."""

    title: str
    curves: Mapping[str, NDArray[np.float64]]
    budget: float


def save(panels: Sequence[Panel], path: Path = PATH) -> Path:
    """Write all panels side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), draw(panels))
    return path


def draw(panels: Sequence[Panel]) -> Image:
    """(H, W, 3) uint8 BGR: error left against share asked, a panel a set."""
    width = len(panels) * (_LEFT + _SIZE + _GAP) + _LEGEND
    canvas = np.full((_TOP + _SIZE + 70, width, 3), 255, np.uint8)
    for place, panel in enumerate(panels):
        _draw(canvas, panel, _LEFT + place * (_LEFT + _SIZE + _GAP))
    names = list(panels[0].curves)
    for place, name in enumerate(names):
        y = _TOP + 20 + 24 * place
        color, thickness = _style(name, names)
        x = width - _LEGEND
        cv2.line(canvas, (x, y - 5), (x + 30, y - 5), color, thickness, cv2.LINE_AA)
        _text(canvas, name, x + 38, y)
    return canvas


def _draw(canvas: Image, panel: Panel, left: int) -> None:
    most = max(float(curve.max()) for curve in panel.curves.values()) or 1.0
    bottom = _TOP + _SIZE
    _text(canvas, panel.title, left, _TOP - 18)
    for step in range(6):
        x, y = left + _SIZE * step // 5, bottom - _SIZE * step // 5
        cv2.line(canvas, (x, _TOP), (x, bottom), (230, 230, 230), 1)
        cv2.line(canvas, (left, y), (left + _SIZE, y), (230, 230, 230), 1)
        _text(canvas, f"{20 * step}", x - 8, bottom + 18)
        _text(canvas, f"{100 * most * step / 5:.1f}", left - 46, y + 5)
    _text(canvas, "% asked (dashes: what the default asks); upward: % wrong", left, bottom + 42)
    x = left + round(panel.budget * _SIZE)
    for y in range(_TOP, bottom, 12):
        cv2.line(canvas, (x, y), (x, y + 6), _INK, 1)
    names = list(panel.curves)
    for name in [*(n for n in names if n not in _STYLES), *_STYLES]:
        curve = panel.curves[name]
        color, thickness = _style(name, names)
        xs = left + np.linspace(0, _SIZE, len(curve))
        ys = bottom - curve / most * _SIZE
        points = np.rint(np.stack([xs, ys], axis=1)).astype(np.int32)
        cv2.polylines(canvas, [points], False, color, thickness, cv2.LINE_AA)


def _style(name: str, names: Sequence[str]) -> tuple[tuple[int, int, int], int]:
    if name in _STYLES:
        return _STYLES[name]
    others = [other for other in names if other not in _STYLES]
    return _OTHERS[others.index(name) % len(_OTHERS)], 1


def _text(canvas: Image, text: str, x: int, y: int) -> None:
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
