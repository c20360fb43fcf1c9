"""One board's picture, ready to be laid into frames: tilted, blurred, with its edge and shadow.

A sprite holds the light that the board sends, and the share of the belt's light that passes it
(0 on the board, less than 1 in its shadow, 1 beyond). What lies inside the rim is opaque, so a
frame costs a copy there and a blend only along the four sides.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image

Box = tuple[int, int, int, int]

SHADOW_PX: Final = 28  # room around a board for its shadow, at 720 lines
_EDGE_BGR: Final = (58, 84, 92)


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A board's picture.

    Attributes:
        light: (h, w, 3) uint8 BGR, what it adds.
        through: (h, w, 3) uint8, 255 where the belt shows unchanged.
        gloss: (h, w, 3) uint8, 255 where the board reflects the lamp.
        corner: Frame pixels of its upper left, while the belt has not moved.
        inner: x1, y1, x2, y2 within, where nothing shows through.
    """

    light: Image
    through: Image
    gloss: Image
    corner: tuple[int, int]
    inner: Box

    def paste(self, shift_px: int, out: Image, sheen: Image) -> None:
        """Lay the board over `out`, the belt moved left by `shift_px`; `sheen` shines on it.

        Args:
            shift_px: How far the belt has moved.
            out: (H, W, 3) uint8, changed in place.
            sheen: (H, W, 3) uint8, what the gloss of the board adds at each place of the frame.
        """
        at = (self.corner[0] - shift_px, self.corner[1])
        height, width = self.light.shape[:2]
        x1, y1, x2, y2 = self.inner
        for side in (
            (0, 0, width, y1),
            (0, y2, width, height),
            (0, y1, x1, y2),
            (x2, y1, width, y2),
        ):
            self._blend(side, at, out, sheen)
        clip = _clip(self.inner, at, out.shape)
        if clip is not None:
            (a, b, c, d), (left, top) = clip, at
            window = slice(b + top, d + top), slice(a + left, c + left)
            cv2.add(self.light[b:d, a:c], sheen[window], dst=out[window])

    def _blend(self, part: Box, at: tuple[int, int], out: Image, sheen: Image) -> None:
        clip = _clip(part, at, out.shape)
        if clip is None:
            return
        x1, y1, x2, y2 = clip
        here = slice(y1, y2), slice(x1, x2)
        there = slice(y1 + at[1], y2 + at[1]), slice(x1 + at[0], x2 + at[0])
        under = cv2.multiply(out[there], self.through[here], scale=1 / 255)
        glint = cv2.multiply(sheen[there], self.gloss[here], scale=1 / 255)
        cv2.add(cv2.add(under, glint), self.light[here], dst=out[there])


def _clip(part: Box, at: tuple[int, int], shape: tuple[int, ...]) -> Box | None:
    """The piece of a sprite's rectangle that falls into the frame, in the sprite's pixels."""
    left, top = at
    x1, y1 = max(part[0], -left), max(part[1], -top)
    x2, y2 = min(part[2], shape[1] - left), min(part[3], shape[0] - top)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def make_sprite(
    picture: Image,
    turn: NDArray[np.float64],
    centre: tuple[float, float],
    blur_px: float,
    smear_px: float,
) -> Sprite:
    """Turn, scale and blur a board's picture, and give it its edge and its shadow.

    Args:
        picture: (h, w, 3) uint8, the upright board.
        turn: (2, 2) float64, from its pixels to the frame's.
        centre: Of the board, in frame pixels, while the belt has not moved.
        blur_px: Defocus, standard deviation.
        smear_px: How far the board moves while the shutter is open.
    """
    height, width = picture.shape[:2]
    scale = float(np.hypot(*turn[0]))
    middle = np.array((width, height)) * 0.5
    half = np.abs(turn) @ middle + SHADOW_PX * scale
    corner = np.floor(np.array(centre) - half).astype(int)
    size = (int(np.ceil(2 * half[0])) + 1, int(np.ceil(2 * half[1])) + 1)
    within = np.array(centre) - corner
    # The outer edge of a pixel is half a pixel from its centre, here as in the truth boxes.
    matrix = np.hstack((turn, (within - 0.5 - turn @ (middle - 0.5))[:, None]))
    if scale < 0.75:
        picture = _blur(picture, 0.4 / scale, 0.0)
    flat = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC)
    full = np.full((height, width), 255, np.uint8)
    cover = np.asarray(cv2.warpAffine(full, matrix, size), dtype=np.uint8)
    edge, through = _surroundings(cover, scale)
    # Outside the board the turned picture is black, so that its rim is weighted already.
    light = _blur(np.asarray(cv2.add(flat, edge), dtype=np.uint8), blur_px, smear_px)
    belt, gloss = (_blur(layer, blur_px, smear_px) for layer in (through, cover))
    inner = _inner(turn, middle, within, 4.0 + smear_px)
    return Sprite(light, _grey(belt), _grey(gloss), (int(corner[0]), int(corner[1])), inner)


def _grey(layer: Image) -> Image:
    """One value for all three colours."""
    return np.repeat(layer[..., None], 3, axis=2)


def _surroundings(cover: Image, scale: float) -> tuple[Image, Image]:
    """The light of the board's lower edge, and what its edge and shadow leave of the belt's."""
    size = (cover.shape[1], cover.shape[0])
    opaque = cover.astype(np.float32) * np.float32(1 / 255)
    drop = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, 4.0 * scale)))
    edge = cv2.warpAffine(opaque, drop, size) * (1 - opaque)
    fall = np.array(((1.0, 0.0, 7.0 * scale), (0.0, 1.0, 11.0 * scale)))
    shadow = cv2.blur(cv2.warpAffine(opaque, fall, size), (round(14 * scale) | 1,) * 2) * 0.62
    through = (1 - opaque - edge) * (1 - shadow) * 255
    light = cv2.merge([edge * tone for tone in _EDGE_BGR])
    return np.rint(light).astype(np.uint8), np.rint(through).astype(np.uint8)


def _blur(image: Image, blur_px: float, smear_px: float) -> Image:
    """Defocus, then motion along the belt."""
    if blur_px > 0:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), blur_px), dtype=np.uint8)
    if smear_px > 1:
        image = np.asarray(cv2.filter2D(image, -1, _box_kernel(smear_px)), dtype=np.uint8)
    return image


def _box_kernel(length: float) -> NDArray[np.float32]:
    """A level box filter of any length, in whole pixels with fractional ends."""
    reach = int(np.ceil((length - 1) / 2))
    kernel = np.ones(2 * reach + 1, dtype=np.float32)
    kernel[[0, -1]] = (length - (2 * reach - 1)) / 2
    kernel /= kernel.sum()
    return kernel[None, :]


def _inner(
    turn: NDArray[np.float64], middle: NDArray[np.float64], within: NDArray[np.float64], rim: float
) -> Box:
    """An upright rectangle around `within` (in the sprite) that the turned board covers."""
    lost = np.abs(turn - np.diag(np.diag(turn))) @ middle + rim
    half = np.diag(turn) * middle - lost
    x1, y1 = np.ceil(within - half).astype(int)
    x2, y2 = np.floor(within + half).astype(int)
    return int(x1), int(y1), max(int(x1), int(x2)), max(int(y1), int(y2))
