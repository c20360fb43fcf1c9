"""Protobuf as it lies in a file: the fields of a message, read and written without a schema.

The runtime has a parser of its own and lends it to nobody, and the library of the format is
for a device that only reads a few names too large to import. Only what a model file needs is
here: numbers, what has a length, and the places of both.

What this does not promise: groups, which no model has, and a check of what a field means.
Source: protobuf encoding (wire types).
"""

import mmap
import struct
from collections.abc import Iterator
from typing import Final

Buffer = bytes | mmap.mmap
Value = int | slice
"""An integer, or the place of anything else."""

_VARINT: Final = 0
_BYTES: Final = 2
_FLOAT: Final = 5
_FIXED: Final = {1: 8, _FLOAT: 4}
"""Wire types of fixed length, and their bytes."""
_SIGN: Final = 1 << 63
_MAX_BITS: Final = 70


def fields(buffer: Buffer, within: slice) -> Iterator[tuple[int, Value, slice]]:
    """Number, value and whole place of each field of a message.

    Raises:
        ValueError: these bytes are no protobuf message.
    """
    at, end = within.start, within.stop
    while at < end:
        start = at
        key, at = _varint(buffer, at, end)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError(f"no field at byte {at}")
        if wire == _VARINT:
            value, at = _varint(buffer, at, end)
            yield number, value, slice(start, at)
            continue
        if wire == _BYTES:
            size, at = _varint(buffer, at, end)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError(f"no field at byte {at}")
        if at + size > end:
            raise ValueError(f"it ends {at + size - end} bytes too early")
        yield number, slice(at, at + size), slice(start, at + size)
        at += size


def whole(buffer: Buffer) -> slice:
    """The place of a message that fills the buffer."""
    return slice(0, len(buffer))


def text(buffer: Buffer, place: slice) -> str:
    """What stands there, for people."""
    return buffer[place].decode("utf-8", "replace")


def name(buffer: Buffer, place: slice) -> str:
    """What stands there, to be compared with others.

    Raises:
        UnicodeDecodeError: it is no UTF-8, and two such names would look alike.
    """
    return buffer[place].decode("utf-8")


def integers(buffer: Buffer, value: Value) -> list[int]:
    """One field of a repeated signed integer: a number, or many that were packed.

    Raises:
        ValueError: these bytes are no integers.
    """
    if isinstance(value, int):
        return [_signed(value)]
    found, at = [], value.start
    while at < value.stop:
        number, at = _varint(buffer, at, value.stop)
        found.append(_signed(number))
    return found


def written(number: int, content: bytes | str | float) -> bytes:
    """One field; a float is one of 32 bits, an integer must not be negative."""
    if isinstance(content, int):
        return _bits(number << 3 | _VARINT) + _bits(content)
    if isinstance(content, float):
        return _bits(number << 3 | _FLOAT) + struct.pack("<f", content)
    plain = content.encode() if isinstance(content, str) else content
    return _bits(number << 3 | _BYTES) + _bits(len(plain)) + plain


def _signed(number: int) -> int:
    return number - 2 * _SIGN if number >= _SIGN else number


def _bits(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _varint(buffer: Buffer, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < _MAX_BITS:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"no number at byte {at}")
