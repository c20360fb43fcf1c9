"""The size of a JPEG from its header, without decoding a single pixel.

A picture from a device is not to be trusted: a few bytes can claim a gigapixel, and whoever
decodes it pays in memory. The size stands in the start-of-frame segment (ITU-T T.81, B.2.2),
and everything before it can be stepped over by length.

It proves that the header is a JPEG's, not that the rest decodes.
"""

from typing import Final

_START: Final = b"\xff\xd8\xff"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15; C4, C8 and CC in their midst are tables and reserved."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        ValueError: it is no JPEG, or ends before its size.
    """
    if not data.startswith(_START):
        raise ValueError("does not begin as a JPEG does")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("a segment does not begin with a marker")
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES and at + 9 <= len(data):
            height = int.from_bytes(data[at + 5 : at + 7])
            width = int.from_bytes(data[at + 7 : at + 9])
            return width, height
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
    raise ValueError("ends before its size")
