"""How much boxes overlap: intersection over union, of many with many and of two.

A frame's boxes are compared in arrays where there are many, and by plain numbers where a pair
or two is left of them: right after a run of the model an array function takes ten times as
long as in a loop of its own.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Float = TypeVar("_Float", np.float32, np.float64)


def iou(a: NDArray[_Float], b: NDArray[_Float]) -> NDArray[_Float]:
    """Overlap of each of `a` (n, 4) with each of `b` (m, 4), xyxy: (n, m), 0..1.

    Boxes without area overlap nothing.
    """
    ax1, ay1, ax2, ay2 = a.T[:, :, None]
    bx1, by1, bx2, by2 = b.T
    width = np.maximum(np.minimum(ax2, bx2) - np.maximum(ax1, bx1), 0)
    height = np.maximum(np.minimum(ay2, by2) - np.maximum(ay1, by1), 0)
    inner = width * height
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - inner
    overlap: NDArray[_Float] = np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)
    return overlap


def iou_of_two(one: Sequence[float], other: Sequence[float]) -> float:
    """The same of two boxes, each x1 y1 x2 y2."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if not (width > 0 and height > 0):
        return 0.0
    inner = width * height
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)]
    return inner / (sum(areas) - inner)
