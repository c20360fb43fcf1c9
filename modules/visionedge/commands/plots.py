"""The plots of the commands, drawn with OpenCV: confusion matrix, reliability, and bars.

No plotting library: two pictures are not worth one on a device.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image
from visionedge.evaluation.report import Bin

_CELL: Final = 44
_BAR: Final = 26
_MARGIN: Final = 190
_SIDE: Final = 420
_EDGE: Final = 60
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_INK: Final = (40, 40, 40)
_PALE: Final = (225, 225, 225)
_BLUE: Final = (180, 105, 30)
_RED: Final = (60, 60, 200)
_MOST_CLASSES: Final = 40
_LETTERS: Final = 18


def confusion(matrix: NDArray[np.int64], names: Sequence[str]) -> Image:
    """Rows are what is there, columns what was said; shaded by the share of the row.

    Of more than forty classes the most frequent are shown.
    """
    order = np.argsort(-matrix.sum(axis=1), kind="stable")[:_MOST_CLASSES]
    order.sort()
    shown = matrix[np.ix_(order, order)]
    share = shown / np.maximum(matrix[order].sum(axis=1, keepdims=True), 1)
    side = _MARGIN + _CELL * len(order) + 10
    canvas = np.full((side, side, 3), 255, np.uint8)
    for row, number in enumerate(order):
        at = _MARGIN + row * _CELL
        _text(canvas, names[number][:_LETTERS], 8, at + _CELL // 2 + 4)
        _upright(canvas, names[number][:_LETTERS], at + _CELL // 2 + 4)
        for column in range(len(order)):
            left = _MARGIN + column * _CELL
            colour = _between((255, 255, 255), _BLUE, float(share[row, column]))
            cv2.rectangle(canvas, (left, at), (left + _CELL, at + _CELL), colour, cv2.FILLED)
            cv2.rectangle(canvas, (left, at), (left + _CELL, at + _CELL), _PALE, 1)
            if shown[row, column]:
                ink = (255, 255, 255) if share[row, column] > 0.5 else _INK
                _text(canvas, str(shown[row, column]), left + 5, at + _CELL // 2 + 4, ink)
    _text(canvas, "there \\ said", 8, _MARGIN - 12)
    return canvas


def reliability(bins: Sequence[Bin], error: float | None) -> Image:
    """Confidence against the share that was right; the diagonal is what it should be."""
    side = _SIDE + 2 * _EDGE
    canvas = np.full((side, side, 3), 255, np.uint8)
    low, high = _EDGE, _EDGE + _SIDE
    cv2.rectangle(canvas, (low, low), (high, high), _PALE, 1)
    cv2.line(canvas, (low, high), (high, low), _PALE, 2, cv2.LINE_AA)
    largest = max((each.count for each in bins), default=1)
    points = []
    for each in bins:
        x, y = low + round(each.confidence * _SIDE), high - round(each.right * _SIDE)
        height = round(_SIDE / 5 * each.count / largest)
        cv2.rectangle(canvas, (x - 6, high - height), (x + 6, high), _PALE, cv2.FILLED)
        points.append((x, y))
    for a, b in zip(points, points[1:], strict=False):
        cv2.line(canvas, a, b, _BLUE, 2, cv2.LINE_AA)
    for x, y in points:
        cv2.circle(canvas, (x, y), 5, _RED, cv2.FILLED, cv2.LINE_AA)
    for tenth in range(0, 11, 2):
        _text(canvas, f"{tenth / 10:g}", low + tenth * _SIDE // 10 - 8, high + 18)
        _text(canvas, f"{tenth / 10:g}", low - 32, high - tenth * _SIDE // 10 + 4)
    _text(canvas, "confidence", side // 2 - 40, side - 14)
    stated = f", calibration error {error:.3f}" if error is not None else ""
    _text(canvas, f"right{stated}; grey: how many", low - 32, 36)
    return canvas


def bars(title: str, rows: Sequence[tuple[str, float]]) -> Image:
    """A bar a row, to one scale with a line at 1."""
    left = 16 + max(cv2.getTextSize(name, _FONT, 0.42, 1)[0][0] for name, _ in rows)
    canvas = np.full((_EDGE + _BAR * len(rows), left + _SIDE + 2 * _EDGE, 3), 255, np.uint8)
    scale = _SIDE / max(1.0, *(value for _, value in rows))
    _text(canvas, title, 8, 28)
    for place, (name, value) in enumerate(rows):
        top = _EDGE - 16 + place * _BAR
        _text(canvas, name, 8, top + 15)
        right = left + 8 + round(value * scale)
        cv2.rectangle(canvas, (left + 8, top + 3), (right, top + 19), _BLUE, cv2.FILLED)
        _text(canvas, f"{value:.2f}", left + _SIDE + 20, top + 15)
    at = left + 8 + round(scale)
    cv2.line(canvas, (at, _EDGE - 18), (at, canvas.shape[0] - 8), _RED, 1)
    return canvas


def _between(a: tuple[int, ...], b: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def _text(canvas: Image, text: str, left: int, base: int, ink: tuple[int, int, int] = _INK) -> None:
    cv2.putText(canvas, text, (left, base), _FONT, 0.42, ink, 1, cv2.LINE_AA)


def _upright(canvas: Image, text: str, centre: int) -> None:
    """Text from below to above, over the column at `centre`."""
    strip = np.full((16, _MARGIN - 20, 3), 255, np.uint8)
    _text(strip, text, 2, 12)
    turned = cv2.rotate(strip, cv2.ROTATE_90_COUNTERCLOCKWISE)
    canvas[: turned.shape[0], centre - 12 : centre + 4] = turned
