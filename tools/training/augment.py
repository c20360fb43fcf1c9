"""Crops of rendered frames, turned, scaled, lit and spoilt at random.

The geometry is one affine sampling from the full frame (turn, mirror, scale around the product's
0.5, place), so that a crop is as sharp as the product's own resize makes it. The light is more
unlike the virtual line than any one camera: grey pictures, inverted grey, swapped channels, hard
local contrast up to pure black and white. Board cameras are often grey, and public sets of real
boards are binarised; a net that learns "green" learns nothing that carries over.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.lines import Sample
from visionedge.entities import Image

CROP_PX: Final = 320
_SCALE: Final = 0.5  # of the product: 1280x720 letterboxed into 640x384
_ZOOM: Final = (0.8, 1.35)
_VISIBLE: Final = 0.6
_PAD_GREY: Final = 114
_NOISE_SD: Final = 30.0
_NOISE: Final = (
    np.random.default_rng(0).normal(128, _NOISE_SD, (512, 512, 3)).clip(0, 255).astype(np.uint8)
)


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """One training picture.

    Attributes:
        image: (320, 320, 3) uint8 BGR.
        xyxy: (n, 4) float32, pixels of the crop.
        class_id: (n,) int32.
        ignored: (m, 4) float32, defects that are cut off by the crop's edge.
    """

    image: Image
    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]
    ignored: NDArray[np.float32]


def random_crop(sample: Sample, rng: np.random.Generator) -> Crop:
    """Cut, turn and spoil; two times in three around a defect."""
    matrix = _affine(_focus(sample, rng), rng)
    image = cv2.warpAffine(
        sample.image, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(_PAD_GREY,) * 3,
    )  # fmt: skip
    moved = _move(sample.xyxy, matrix)
    kept = np.clip(moved, 0, CROP_PX)
    share = _area(kept) / np.maximum(_area(moved), 1e-6)
    whole = share >= _VISIBLE
    partly = (share > 0) & ~whole
    crop = np.asarray(_spoil(np.asarray(image), rng), dtype=np.uint8)
    return Crop(crop, kept[whole], sample.class_id[whole], kept[partly])


def _focus(sample: Sample, rng: np.random.Generator) -> NDArray[np.float64]:
    """The point of the frame that comes to the crop's middle; not too much lies beyond it."""
    height, width = sample.image.shape[:2]
    low, high = np.array((250.0, 250.0)), np.array((width - 250.0, height - 250.0))
    if len(sample.xyxy) and rng.random() < 0.67:
        box = sample.xyxy[rng.integers(len(sample.xyxy))]
        wished = (box[:2] + box[2:]) / 2 + rng.uniform(-200, 200, 2)
        return np.asarray(np.clip(wished, low, high), dtype=np.float64)
    return rng.uniform(low, high)


def _affine(focus: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    quarter = int(rng.integers(4))
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter]
    turn = np.array(((cos, -sin), (sin, cos)), dtype=np.float64)
    turn[0] *= rng.choice((-1.0, 1.0))
    turn *= _SCALE * rng.uniform(*_ZOOM)
    offset = CROP_PX / 2 - turn @ focus
    return np.column_stack((turn, offset))


def _move(xyxy: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    first = xyxy[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    second = xyxy[:, 2:] @ matrix[:, :2].T + matrix[:, 2]
    corners = np.hstack((np.minimum(first, second), np.maximum(first, second)))
    return corners.astype(np.float32)


def _area(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], dtype=np.float32)


def _spoil(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    draw = rng.random()
    if draw < 0.12:
        image = _grey(image, rng)
    elif draw < 0.24:
        image = _binary(image, rng)
    elif draw < 0.34:
        image = np.ascontiguousarray(image[:, :, rng.permutation(3)])
    if rng.random() < 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8)), dtype=np.uint8)
    image = _relight(image, rng)
    return _noisy(image, rng) if rng.random() < 0.4 else image


def _grey(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    weights = rng.dirichlet((1.0, 1.0, 1.0))
    grey = np.asarray(cv2.transform(image, weights[None]), dtype=np.uint8)
    if rng.random() < 0.35:
        grey = 255 - grey
    low, high = np.percentile(grey[::4, ::4], (2, 98))
    ramp = np.clip((np.arange(256) - low) * (255 / max(high - low, 30)), 0, 255)
    stretched = cv2.LUT(grey, ramp.astype(np.uint8))
    return np.asarray(cv2.merge((stretched,) * 3), dtype=np.uint8)


def _binary(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Copper white, all else black (or the reverse), by the contrast with the neighbourhood."""
    grey = np.asarray(image[:, :, int(rng.integers(3))])
    window, offset = int(rng.integers(12, 30)) * 2 + 1, float(rng.uniform(5, 9))
    hard = cv2.adaptiveThreshold(
        cv2.GaussianBlur(grey, (0, 0), 0.7), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY,
        window, -offset,
    )  # fmt: skip
    soft = np.asarray(cv2.GaussianBlur(hard, (0, 0), rng.uniform(0.4, 0.8)), dtype=np.uint8)
    if rng.random() < 0.25:
        soft = 255 - soft
    return np.asarray(cv2.merge((soft,) * 3), dtype=np.uint8)


def _noisy(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Sensor noise: a random window of one field of it, since drawing it anew costs the most."""
    y, x = rng.integers(0, _NOISE.shape[0] - CROP_PX, 2)
    field = _NOISE[y : y + CROP_PX, x : x + CROP_PX]
    strength = float(rng.uniform(1, 7)) / _NOISE_SD
    spoilt = cv2.addWeighted(image, 1.0, field, strength, -128.0 * strength)
    return np.asarray(spoilt, dtype=np.uint8)


def _relight(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Gain a channel, offset and gamma, by one table a channel."""
    levels = np.arange(256, dtype=np.float64) / 255
    gamma, offset = np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.04)
    gains = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.05, 3))
    table = np.clip((levels[:, None] ** gamma) * gains + offset, 0, 1) * 255
    return np.asarray(cv2.LUT(image, table[None].astype(np.uint8)), dtype=np.uint8)
