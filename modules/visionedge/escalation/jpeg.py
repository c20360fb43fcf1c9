"""A redacted picture as a JPEG of at most so many bytes.

A ladder: first the quality goes down in steps, then the size. Below the last step of
quality the blocks of JPEG hide small defects sooner than a smaller picture does, so the
quality stops there. The size goes by what the last attempt weighed, because the bytes of a
JPEG grow about as its area does, so two attempts at most are usual.

What this does not promise: that a defect can still be seen when the budget is tiny. Send a
crop then (`escalation.snapshot.crop`).
"""

from dataclasses import dataclass
from typing import Final

import cv2

from visionedge.entities import Image
from visionedge.escalation.redact import RedactedImage

Area = tuple[int, int, int, int]
"""x1, y1, x2, y2 in whole pixels of the frame, inside it, at least one pixel each way."""

_QUALITY_STEPS: Final = (85, 75, 65, 55, 45)
_LINEAR_FROM: Final = 0.5
"""From this scale on every pixel has its part in a linear sample. The mean over areas differs
from it by less than JPEG does (48 dB), and takes four times as long: 10 ms for 1080p to 1280."""
_AIM: Final = 0.95
"""Aim a little below the budget: bytes shrink somewhat less than the area does. Below one, so
that every attempt is smaller than the last."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """An encoded picture: its bytes, its size in pixels, and the quality that fitted."""

    body: bytes
    width: int
    height: int
    quality: int


def encode(
    image: RedactedImage, area: Area, *, max_side_px: int, quality: int, max_bytes: int
) -> Jpeg:
    """Encode `area` of a redacted picture.

    Args:
        image: what may be seen.
        area: the part that is wanted.
        max_side_px: longest side of the result; larger pictures are scaled down.
        quality: where the ladder begins, 1..100.
        max_bytes: at least 1024, which the smallest picture always fits.
    """
    x1, y1, x2, y2 = area
    whole = image.pixels[y1:y2, x1:x2]
    scale = min(1.0, max_side_px / max(whole.shape[:2]))
    pixels = _scaled(whole, scale)
    for step in (quality, *(q for q in _QUALITY_STEPS if q < quality)):
        jpeg = _encoded(pixels, step)
        if len(jpeg.body) <= max_bytes:
            return jpeg
    while len(jpeg.body) > max_bytes:
        scale *= _AIM * (max_bytes / len(jpeg.body)) ** 0.5
        jpeg = _encoded(_scaled(whole, scale), jpeg.quality)
    return jpeg


def _scaled(pixels: Image, scale: float) -> Image:
    if scale == 1.0:
        return pixels
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_LINEAR if scale >= _LINEAR_FROM else cv2.INTER_AREA
    return cv2.resize(pixels, size, interpolation=way)  # type: ignore[return-value] # uint8 in, uint8 out


def _encoded(pixels: Image, quality: int) -> Jpeg:
    _, body = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    height, width = pixels.shape[:2]
    return Jpeg(body.tobytes(), width, height, quality)
