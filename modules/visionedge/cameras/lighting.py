"""Light and sensor of the virtual line: gradient, vignette, sheen, drift, noise.

All that lies still in front of the camera is made once. A frame costs one multiplication by the
gain picture (whose scale carries the drift) and an addition and a subtraction of a window of
ready noise, at an offset hashed from the frame's number.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image

_SPARE: Final = 96  # how far the window of noise may move
_DRIFT_PERIODS_S: Final = (23.0, 61.0)


class Lighting:
    """The light over a frame of `shape` (height, width)."""

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int],
        fps: float,
        drift: float,
        noise: float,
    ) -> None:
        self.sheen = _sheen(shape)
        self._gain = _gain(shape)
        self._phases = rng.uniform(0, 2 * np.pi, 2)
        self._fps, self._drift = fps, drift
        self._key = int(rng.integers(1 << 62))
        self._noise = _noise(rng, shape, noise) if noise > 0 else None

    def shine(self, index: int, out: Image) -> None:
        """Light the scene in `out` as frame `index` sees it, in place."""
        cv2.multiply(out, self._gain, dst=out, scale=self._level(index) / 128)
        if self._noise is None:
            return
        rng = np.random.Generator(np.random.PCG64([self._key, index]))
        height, width = out.shape[:2]
        for tile, change in zip(self._noise, (cv2.add, cv2.subtract), strict=True):
            x, y = rng.integers(_SPARE, size=2)
            change(out, tile[y : y + height, x : x + width], dst=out)

    def _level(self, index: int) -> float:
        angles = 2 * np.pi * index / self._fps / np.array(_DRIFT_PERIODS_S) + self._phases
        return 1.0 + self._drift * float(np.sin(angles) @ (0.65, 0.35))


def _axes(shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    return x, y


def _gain(shape: tuple[int, int]) -> Image:
    """Vignette and a slope of the light; 128 is 1. Warmer at the side of the lamp."""
    x, y = _axes(shape)
    base = (1.06 - 0.13 * (x * x + y * y)) * (1.0 - 0.07 * x - 0.04 * y)
    gain = cv2.merge([base * (1.0 + w * x) for w in (0.02, 0.0, -0.015)])
    return np.clip(gain * 128, 0, 255).astype(np.uint8)


def _sheen(shape: tuple[int, int]) -> Image:
    """What the gloss of the mask throws back of a bar light: a soft, slanted band."""
    x, y = _axes(shape)
    band = np.exp(-(((x * 0.9 + y * 0.35 + 0.42) / 0.17) ** 2)) * 17.0
    band = band + np.exp(-(((x * 0.9 + y * 0.35 - 0.75) / 0.3) ** 2)) * 8.0
    return np.clip(cv2.merge([band * t for t in (1.05, 1.0, 0.95)]), 0, 255).astype(np.uint8)


def _noise(
    rng: np.random.Generator, shape: tuple[int, int], strength: float
) -> tuple[Image, Image]:
    """Two banks of noise, one to add and one to subtract; together about `strength`."""
    height, width = shape[0] + _SPARE, shape[1] + _SPARE
    banks = []
    for _ in range(2):
        values = rng.standard_normal((height, width, 3), dtype=np.float32)
        values = values * 0.8 + values.mean(axis=2, keepdims=True) * 0.6
        banks.append(np.rint(np.abs(values) * strength).astype(np.uint8))
    return banks[0], banks[1]
