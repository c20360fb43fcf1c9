"""Decode one picture file, but only after its header has told how large it will become.

A picture is a compressed size bomb by nature: a few kilobytes of PNG can unpack to
gigabytes. So the size is read from the header first, and a file whose header this cannot
read is refused rather than tried. The formats are those of cameras and labelling tools.

Sources of the layouts: ITU-T T.81 B.2.2 (JPEG frame header), W3C PNG 11.2.1 (IHDR), RFC
9649 (WebP), TIFF 6.0 section 2, and BITMAPCOREHEADER and BITMAPINFOHEADER (BMP).
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from visionedge.entities import Image
from visionedge.errors import CameraUnavailable

TIFFS: Final = (b"II*\x00", b"MM\x00*")
"""How they begin."""
PICTURE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MAX_FILE_BYTES: Final = 64 * 1024**2
MAX_PIXELS: Final = 64_000_000
# SOF0 to SOF15 without DHT, JPG and DAC, which share the range.
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS = 256, 257, 258
_MAX_SAMPLE_BITS: Final = 16


def read_picture(path: Path) -> Image:
    """The picture in a file, upright as its EXIF orientation says.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        CameraUnavailable: it is too large, damaged, or none; skip it.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise _refused(path, f"has {size_bytes} bytes; {MAX_FILE_BYTES} is the most")
        encoded = path.read_bytes()
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    size = picture_size(encoded)
    if size is None:
        raise _refused(path, "is no JPEG, PNG, BMP, WebP or TIFF, or its header is damaged")
    if size[0] * size[1] > MAX_PIXELS:
        raise _refused(path, f"has {size[0]} x {size[1]} pixels; {MAX_PIXELS} is the most")
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        deep = too_deep(encoded)
        raise _refused(path, f"has {deep}" if deep else "is damaged or cut short")
    return np.asarray(image, np.uint8)


def _refused(path: Path, reason: str) -> CameraUnavailable:
    return CameraUnavailable(f"picture {path.name} {reason}")


def picture_size(encoded: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels as the header of a picture tells, or None."""
    for magic, size in _HEADERS:
        if encoded.startswith(magic):
            try:
                found = size(encoded)
            except (struct.error, IndexError):
                return None
            return found if found and min(found) > 0 else None
    return None


def too_deep(encoded: bytes) -> str:
    """The depth of a TIFF where OpenCV does not read it, as those of floating point; else empty."""
    if not encoded.startswith(TIFFS):
        return ""
    try:
        bits = _tiff_fields(encoded).get(_TIFF_BITS, 1)
    except (struct.error, IndexError):
        return ""
    return f"samples of {bits} bits; {_MAX_SAMPLE_BITS} is the most" * (bits > _MAX_SAMPLE_BITS)


def _jpeg(encoded: bytes) -> tuple[int, int] | None:
    at = 2
    while encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == 0xFF:  # a fill byte before the marker
            at += 1
        elif marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", encoded, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", encoded, at + 2)[0]
    return None


def _png(encoded: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", encoded, 16)
    return width, height


def _bmp(encoded: bytes) -> tuple[int, int]:
    core = struct.unpack_from("<I", encoded, 14)[0] == 12
    width, height = struct.unpack_from("<HH" if core else "<ii", encoded, 18)
    # A negative height means that the rows run from the top.
    return width, abs(height)


def _webp(encoded: bytes) -> tuple[int, int] | None:
    chunk = encoded[12:16]
    if chunk == b"VP8X":
        width, height = (int.from_bytes(encoded[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", encoded, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", encoded, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff(encoded: bytes) -> tuple[int, int] | None:
    fields = _tiff_fields(encoded)
    if not (_TIFF_WIDTH in fields and _TIFF_HEIGHT in fields):
        return None
    return fields[_TIFF_WIDTH], fields[_TIFF_HEIGHT]


def _tiff_fields(encoded: bytes) -> dict[int, int]:
    """The first number of each field that is asked for here, by its tag."""
    order = "<" if encoded.startswith(b"II") else ">"
    at = struct.unpack_from(f"{order}I", encoded, 4)[0]
    fields = {}
    for entry in range(struct.unpack_from(f"{order}H", encoded, at)[0]):
        offset = at + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(f"{order}HHI", encoded, offset)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS):
            number, value = f"{order}{'H' if kind == 3 else 'I'}", offset + 8
            if count * struct.calcsize(number) > 4:  # they lie elsewhere
                value = struct.unpack_from(f"{order}I", encoded, value)[0]
            fields[tag] = struct.unpack_from(number, encoded, value)[0]
    return fields


_HEADERS: Final[tuple[tuple[bytes, Callable[[bytes], tuple[int, int] | None]], ...]] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"BM", _bmp),
    (b"RIFF", _webp),
    *((magic, _tiff) for magic in TIFFS),
)
