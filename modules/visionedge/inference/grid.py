"""The cells of a detector's grids, in the order in which its rows go through them.

Every one-stage detector lays a grid a stride over its input and goes through it line by
line, the finest grid first. Exporters differ in what happens to a last, cut cell: YOLOX
leaves it out, NanoDet and PicoDet keep it (416 pixels at stride 64 are 7 cells).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
USUAL_STRIDES: Final = ((8, 16, 32), (8, 16, 32, 64), (4,))


def grid(size: tuple[int, int], strides: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The cells of all strides, in the order of the rows.

    Args:
        size: width and height of the input, pixels.
        strides: pixels a cell.

    Returns:
        Column and row of each cell, (n, 2) float32; and its stride, (n,) float32.
    """
    levels = [cells((size[0] // stride, size[1] // stride)) for stride in strides]
    lengths = [np.full(len(level), s) for level, s in zip(levels, strides, strict=True)]
    return np.concatenate(levels), np.concatenate(lengths).astype(np.float32)


def cells(shape: tuple[int, int]) -> Floats:
    """Column and row of each cell of one grid of so many columns and rows, (n, 2) float32."""
    x, y = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def whole_cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Columns and rows of a grid that keeps a last, cut cell."""
    return -(-size[0] // stride), -(-size[1] // stride)
