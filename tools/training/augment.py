"""Crops of rendered pictures, turned, scaled, lit and spoilt at random.

The geometry is one affine sampling from the full picture (turn, mirror, scale around that of the
product's letterbox, place), so that a crop is as sharp as the product's own resize makes it. The
light is more unlike the virtual line than any one camera: grey pictures, swapped channels. Board
cameras are often grey, and a net that learns "green" learns nothing that carries over. What says
which side is copper stays: a line's copper is lighter than its board, a scanner's is darker, and
no picture is turned inside out.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.lines import Sample
from visionedge.entities import Image

INPUT_WIDTH: Final = 640
INPUT_HEIGHT: Final = 384
CROP_PX: Final = 320
_ZOOM: Final = (0.8, 1.35)
_SCAN_ZOOM: Final = (0.7, 1.45)  # scanners differ more among themselves than a line's camera
_RIM: Final = 0.8
"""The crop's middle is at least this share of half a crop away from the picture's rim."""
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
    is_scan = sample.image.ndim == 2
    height, width = sample.image.shape[:2]
    scale = min(INPUT_WIDTH / width, INPUT_HEIGHT / height)
    scale *= float(rng.uniform(*(_SCAN_ZOOM if is_scan else _ZOOM)))
    matrix = _affine(_focus(sample, scale, rng), scale, rng)
    image = cv2.warpAffine(
        sample.image, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(_PAD_GREY,) * 3,
    )  # fmt: skip
    moved = _move(sample.xyxy, matrix)
    kept = np.clip(moved, 0, CROP_PX)
    share = _area(kept) / np.maximum(_area(moved), 1e-6)
    whole = share >= _VISIBLE
    partly = (share > 0) & ~whole
    picture = cv2.merge((image,) * 3) if is_scan else _recolour(np.asarray(image, np.uint8), rng)
    crop = _spoil(np.asarray(picture, np.uint8), rng, 0.0 if is_scan else 0.05)
    return Crop(crop, kept[whole], sample.class_id[whole], kept[partly])


def _focus(sample: Sample, scale: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The point of the picture that comes to the crop's middle; not too much lies beyond it."""
    height, width = sample.image.shape[:2]
    reach = CROP_PX / 2 / scale
    rim = np.minimum(_RIM * reach, (width / 2, height / 2))
    low, high = rim, np.array((width, height)) - rim
    if len(sample.xyxy) and rng.random() < 0.67:
        box = sample.xyxy[rng.integers(len(sample.xyxy))]
        wished = (box[:2] + box[2:]) / 2 + rng.uniform(-0.65, 0.65, 2) * reach
        return np.asarray(np.clip(wished, low, high), dtype=np.float64)
    return np.asarray(rng.uniform(low, high), dtype=np.float64)


def _affine(
    focus: NDArray[np.float64], scale: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    quarter = int(rng.integers(4))
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter]
    turn = np.array(((cos, -sin), (sin, cos)), dtype=np.float64)
    turn[0] *= rng.choice((-1.0, 1.0))
    turn *= scale
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


def _recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    draw = rng.random()
    if draw < 0.2:
        return _grey(image, rng)
    return np.ascontiguousarray(image[:, :, rng.permutation(3)]) if draw < 0.3 else image


def _spoil(image: NDArray[np.uint8], rng: np.random.Generator, tint: float) -> NDArray[np.uint8]:
    if rng.random() < 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8)), dtype=np.uint8)
    image = _relight(image, rng, tint)
    return _noisy(image, rng) if rng.random() < 0.4 else image


def _grey(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    weights = rng.dirichlet((1.0, 1.0, 1.0))
    grey = np.asarray(cv2.transform(image, weights[None]), dtype=np.uint8)
    low, high = np.percentile(grey[::4, ::4], (2, 98))
    ramp = np.clip((np.arange(256) - low) * (255 / max(high - low, 30)), 0, 255)
    stretched = cv2.LUT(grey, ramp.astype(np.uint8))
    return np.asarray(cv2.merge((stretched,) * 3), dtype=np.uint8)


def _noisy(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Sensor noise: a random window of one field of it, since drawing it anew costs the most."""
    y, x = rng.integers(0, _NOISE.shape[0] - CROP_PX, 2)
    field = _NOISE[y : y + CROP_PX, x : x + CROP_PX]
    strength = float(rng.uniform(1, 7)) / _NOISE_SD
    spoilt = cv2.addWeighted(image, 1.0, field, strength, -128.0 * strength)
    return np.asarray(spoilt, dtype=np.uint8)


def _relight(image: NDArray[np.uint8], rng: np.random.Generator, tint: float) -> NDArray[np.uint8]:
    """Gain, offset and gamma by one table a channel; the gains differ by about `tint`."""
    levels = np.arange(256, dtype=np.float64) / 255
    gamma, offset = np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.04)
    gains = np.exp(rng.normal(0, 0.12) + rng.normal(0, 1, 3) * tint)
    table = np.clip((levels[:, None] ** gamma) * gains + offset, 0, 1) * 255
    return np.asarray(cv2.LUT(image, table[None].astype(np.uint8)), dtype=np.uint8)
