"""From the rasters of a board to its picture: mask, metal, print, relief, under even light.

The copper shows through the solder mask as a lighter tone with a soft relief at its edges; pads are
plated (tin or gold) in an opening of the mask. Everything is whole-array work, so that a board
costs some tens of milliseconds once, and a frame that shows it only a copy.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.board_layers import BoardLayers, draw_text
from visionedge.entities import Image

Colour = tuple[float, float, float]

# BGR of the mask over laminate and over copper, print, and how often the colour is met.
_MASKS: Final[tuple[tuple[Colour, Colour, Colour, float], ...]] = (
    ((42, 82, 24), (78, 150, 66), (226, 232, 230), 0.40),
    ((34, 64, 16), (64, 122, 40), (214, 222, 220), 0.20),
    ((92, 42, 16), (170, 104, 44), (232, 230, 226), 0.16),
    ((26, 22, 108), (58, 56, 188), (226, 226, 230), 0.12),
    ((34, 31, 30), (88, 80, 74), (214, 216, 216), 0.12),
)
_METALS: Final[tuple[Colour, ...]] = ((112, 186, 222), (190, 198, 200), (176, 186, 192))
_LAMINATE: Final[Colour] = (96, 138, 152)
_HOLE: Final[Colour] = (18, 20, 22)


@dataclass(frozen=True, slots=True)
class Finish:
    """The looks that the boards of one lot share: colours in BGR."""

    laminate: Colour
    copper: Colour
    print: Colour
    metal: Colour


def draw_finish(rng: np.random.Generator) -> Finish:
    """Choose the looks of a lot."""
    shares = np.array([mask[3] for mask in _MASKS])
    laminate, copper, ink, _ = _MASKS[int(rng.choice(len(_MASKS), p=shares / shares.sum()))]
    tint = rng.uniform(0.88, 1.14, 3) * rng.uniform(0.92, 1.08)
    metal = _METALS[int(rng.integers(len(_METALS)))]
    return Finish(_times(laminate, tint), _times(copper, tint), ink, metal)


def paint_board(
    rng: np.random.Generator,
    layers: BoardLayers,
    copper: Image,
    finish: Finish,
    serial: tuple[tuple[str, str], tuple[float, float]],
) -> Image:
    """Paint one board.

    Args:
        rng: Decides what differs between the boards of a lot: shades and blotches.
        layers: The rasters of its lot.
        copper: Its own copper, with its defects.
        finish: The looks of its lot.
        serial: Two lines of print of its own, and the upper left of their place.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    grey = _shade(rng, copper)
    tones = np.linspace(0.0, 1.0, 256)[:, None]
    ramp = np.array(finish.laminate) * (1 - tones) + np.array(finish.copper) * tones
    # Etched edges are steeper than what a lens shows; a slight blur makes them optical.
    soft = cv2.GaussianBlur(copper, (3, 3), 0.6)
    image = np.asarray(
        cv2.LUT(cv2.merge((soft, soft, soft)), ramp.astype(np.uint8)[None]), dtype=np.uint8
    )
    image = _relight(image, grey)
    image = _lay(image, layers.opening, _LAMINATE)
    image = _lay_metal(rng, image, layers, finish.metal)
    image = _lay(image, layers.drill, _HOLE)
    lines, (x, y) = serial
    silk = layers.silk.copy()
    for row, line in enumerate(lines):
        draw_text(silk, line, x + 4, y + 11 + row * 15, 0.38)
    ink = np.asarray(cv2.convertScaleAbs(silk, alpha=rng.uniform(0.78, 0.95)), dtype=np.uint8)
    image = _lay(image, ink, finish.print)
    return _rim(image)


def _times(colour: Colour, factor: NDArray[np.float64]) -> Colour:
    b, g, r = np.clip(np.array(colour) * factor, 0, 255)
    return float(b), float(g), float(r)


def _shade(rng: np.random.Generator, copper: Image) -> Image:
    """Relief of the copper edges, blotches of the mask, the weave of the glass; 128 is neutral."""
    height, width = copper.shape
    relief = cv2.GaussianBlur(copper, (0, 0), 1.1).astype(np.float32)
    slope = np.zeros_like(relief)
    slope[1:, 1:] = relief[1:, 1:] - relief[:-1, :-1]
    coarse = rng.normal(0.0, 1.0, (height // 60 + 2, width // 60 + 2)).astype(np.float32)
    blotch = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = rng.normal(0.0, 1.0, (height // 3, width // 3)).astype(np.float32)
    grain = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR)
    x = np.sin(np.arange(width, dtype=np.float32) * 1.31)
    y = np.sin(np.arange(height, dtype=np.float32) * 1.17)
    weave = np.outer(y, x) * (1.0 - copper * np.float32(0.7 / 255))
    shade: NDArray[np.float32] = 128.0 + slope * 0.22 + blotch * 3.0 + grain * 1.6 + weave * 3.0
    return np.clip(shade, 40, 250).astype(np.uint8)


def _relight(image: Image, grey: Image) -> Image:
    """Multiply by a grey picture in which 128 is neutral."""
    return np.asarray(
        cv2.multiply(image, cv2.merge((grey, grey, grey)), scale=1 / 128), dtype=np.uint8
    )


def _lay(image: Image, cover: Image, colour: Colour) -> Image:
    """Paint a colour where `cover` is, in proportion to it."""
    full = np.empty_like(image)
    full[:] = np.array(colour, dtype=np.uint8)
    weight = cover.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.blendLinear(full, image, weight, 1.0 - weight), dtype=np.uint8)


def _lay_metal(
    rng: np.random.Generator, image: Image, layers: BoardLayers, colour: Colour
) -> Image:
    """Plated metal: brighter towards the light, with a rounded edge and an uneven surface."""
    height, width = layers.metal.shape
    dome = cv2.GaussianBlur(layers.metal, (0, 0), 2.0).astype(np.float32)
    slope = np.zeros_like(dome)
    slope[2:, 2:] = dome[2:, 2:] - dome[:-2, :-2]
    coarse = rng.normal(0.0, 1.0, (height // 7, width // 7)).astype(np.float32)
    patches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    grey = np.clip(118.0 + slope * 0.42 + patches * 7.0, 30, 250).astype(np.uint8)
    full = np.empty_like(image)
    full[:] = np.array(colour, dtype=np.uint8)
    full = _relight(full, grey)
    weight = layers.metal.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.blendLinear(full, image, weight, 1.0 - weight), dtype=np.uint8)


def _rim(image: Image) -> Image:
    """The routed edge: bare laminate, brighter above, darker below."""
    for i, factor in enumerate((0.95, 0.6)):
        top = np.array(_LAMINATE) * factor
        image[i, i : -i or None] = image[i : -i or None, i] = np.clip(top * 1.05, 0, 255)
        image[-1 - i, i : -i or None] = image[i : -i or None, -1 - i] = top * 0.75
    return image
