"""The conveyor under the boards: a rubber belt with cleats and edge chains, between fixed rails.

The moving part is one long texture that repeats, so that a frame is a copy of a window of it. All
is drawn once, for a frame of 720 lines, and scaled to the height asked for.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image

_HEIGHT: Final = 720
_PERIOD: Final = 1440
_LINK: Final = 48  # divides the period, so that the chain closes
_RAIL: Final = 34
_CHAIN: Final = 24


class Conveyor:
    """Background pictures of a frame of `width` x `height` pixels."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        scale = height / _HEIGHT
        self.period_px = round(_PERIOD * scale)
        moving = cv2.resize(_moving(rng), (self.period_px, height), interpolation=cv2.INTER_AREA)
        repeats = -(-(width + self.period_px) // self.period_px)
        self._moving = np.ascontiguousarray(np.tile(moving, (1, repeats, 1)))
        rail = _rail(rng, width, scale)
        self._rail, self._lower = rail, np.ascontiguousarray(rail[::-1])
        self._width = width

    def draw(self, shift_px: int, out: Image) -> None:
        """Draw the background into `out`, the belt moved to the left by `shift_px`."""
        start = shift_px % self.period_px
        np.copyto(out, self._moving[:, start : start + self._width])
        rail = min(len(self._rail), len(out))
        out[:rail] = self._rail[:rail]
        out[-rail:] = self._lower[-rail:]


def _moving(rng: np.random.Generator) -> Image:
    """The belt and its chains, one period wide."""
    shape = (_HEIGHT, _PERIOD)
    belt = np.full(shape, 40.0, dtype=np.float32)
    belt += _wrapped_noise(rng, shape, 1, 3.2) + _wrapped_noise(rng, shape, 5, 2.5)
    belt += _wrapped_noise(rng, shape, 40, 3.5)
    x, y = np.arange(_PERIOD, dtype=np.float32), np.arange(_HEIGHT, dtype=np.float32)
    # The diamond weave of a grip belt: periods divide the length of the texture.
    across, along = np.sin(y * (2 * np.pi / 12)), np.sin(x * (2 * np.pi / 12))
    belt += np.outer(across, along) * 4.0
    for seam in range(0, _PERIOD, _PERIOD // 3):
        belt[:, seam : seam + 3] -= 12.0
        belt[:, seam + 3 : seam + 5] += 9.0
    for _ in range(60):
        _scuff(rng, belt)
    image = cv2.merge([belt * t for t in (1.04, 1.0, 0.97)])
    for top in (_RAIL, _HEIGHT - _RAIL - _CHAIN):
        image[top : top + _CHAIN] = _chain(rng)
    return np.clip(image, 0, 255).astype(np.uint8)


def _wrapped_noise(
    rng: np.random.Generator, shape: tuple[int, int], grain: int, strength: float
) -> NDArray[np.float32]:
    """Smooth noise that continues from the right edge to the left."""
    rows, columns = shape[0] // grain + 2, shape[1] // grain
    coarse = rng.normal(0.0, strength, (rows, columns)).astype(np.float32)
    wide = np.hstack((coarse, coarse[:, :2]))
    size = (shape[1] + 2 * grain, shape[0] + 2 * grain)
    fine = cv2.resize(wide, size, interpolation=cv2.INTER_LINEAR)
    half = grain
    return np.asarray(fine[: shape[0], half : half + shape[1]], dtype=np.float32)


def _scuff(rng: np.random.Generator, belt: NDArray[np.float32]) -> None:
    x, y = int(rng.integers(30, _PERIOD - 130)), int(rng.integers(80, _HEIGHT - 80))
    dx, dy = int(rng.integers(10, 90)), int(rng.integers(-8, 9))
    cover = np.zeros((24, 130), dtype=np.uint8)
    cv2.line(cover, (4, 12), (4 + dx, 12 + dy), 255, 1, cv2.LINE_AA)
    belt[y : y + 24, x : x + 130] += cover * np.float32(rng.uniform(3, 12) / 255)


def _chain(rng: np.random.Generator) -> NDArray[np.float32]:
    """Links and rollers on a dark channel."""
    chain = np.full((_CHAIN, _PERIOD), 20.0, dtype=np.float32)
    for x in range(0, _PERIOD, _LINK):
        shine = float(rng.uniform(0.9, 1.1))
        middle = _CHAIN // 2
        cv2.rectangle(chain, (x + 3, 5), (x + _LINK - 4, _CHAIN - 6), 66.0 * shine, -1)
        cv2.line(chain, (x + 3, 6), (x + _LINK - 4, 6), 112.0 * shine, 1)
        for centre in (x + 11, x + _LINK - 12):
            cv2.circle(chain, (centre, middle), 6, 104.0 * shine, -1, cv2.LINE_AA)
            cv2.circle(chain, (centre - 1, middle - 1), 3, 150.0 * shine, -1, cv2.LINE_AA)
    return np.asarray(cv2.merge([chain * t for t in (1.02, 1.0, 0.96)]), dtype=np.float32)


def _rail(rng: np.random.Generator, width: int, scale: float) -> Image:
    """A brushed aluminium rail with bolts; it does not move."""
    profile = np.interp(np.arange(_RAIL), (0, 6, 22, 28, 31, 33), (96, 138, 150, 118, 62, 24))
    length = round(width / scale)
    streaks = cv2.blur(rng.normal(0, 26, (_RAIL, length)).astype(np.float32), (61, 1))
    rail = profile[:, None].astype(np.float32) + streaks
    for x in range(70, length, 190):
        cv2.circle(rail, (x, 14), 8, 84.0, -1, cv2.LINE_AA)
        cv2.circle(rail, (x, 14), 6, 158.0, -1, cv2.LINE_AA)
        cv2.line(rail, (x - 4, 11), (x + 4, 17), 70.0, 2, cv2.LINE_AA)
    image = np.clip(cv2.merge([rail * t for t in (1.02, 1.0, 0.98)]), 0, 255).astype(np.uint8)
    height = max(1, round(_RAIL * scale))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
