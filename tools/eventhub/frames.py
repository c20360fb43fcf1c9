"""AMQP frames on their way out, with every trailing field written down.

The sender of a frame may leave trailing fields out (AMQP 1.0, part 1.4), and proton does. Azure's
Event Hubs does not, and azure-eventhub 5.15 has come to rely on it: it reads the fields by number.
So each performative is filled up with nulls to the count that the standard gives it. That is as
legal as what it was, and the SDK on the other side stays as it is installed.

Frames come in any pieces and go out whole. Those of SASL, and empty ones, pass as they are.
"""

import struct
from typing import Final

_PREAMBLE: Final = b"AMQP"
_PREAMBLE_BYTES: Final = 8
_AMQP_FRAME: Final = 0
_NULL: Final = b"\x40"
_DESCRIBED: Final = b"\x00\x53"
_FIELDS: Final = {
    0x10: 10,  # open
    0x11: 8,  # begin
    0x12: 14,  # attach
    0x13: 11,  # flow
    0x14: 11,  # transfer
    0x15: 6,  # disposition
    0x16: 3,  # detach
    0x17: 1,  # end
    0x18: 1,  # close
}
"""How many fields each performative has (AMQP 1.0, part 2.7)."""


class FrameFiller:
    """Takes what the engine writes, and gives what goes on the wire."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, written: bytes) -> bytes:
        """The frames that are whole by now."""
        self._rest += written
        whole = []
        while (size := self._next_bytes()) and size <= len(self._rest):
            frame, self._rest = self._rest[:size], self._rest[size:]
            whole.append(frame if frame.startswith(_PREAMBLE) else filled(frame))
        return b"".join(whole)

    def _next_bytes(self) -> int:
        if len(self._rest) < _PREAMBLE_BYTES:
            return 0
        if self._rest.startswith(_PREAMBLE):
            return _PREAMBLE_BYTES
        return int.from_bytes(self._rest[:4], "big")


def filled(frame: bytes) -> bytes:
    """One frame with all the fields of its performative."""
    begin = 4 * frame[4]
    if frame[5] != _AMQP_FRAME or frame[begin : begin + 2] != _DESCRIBED:
        return frame
    code, constructor = frame[begin + 2], frame[begin + 3]
    at = begin + 4
    if constructor == 0x45:  # list0: no field, no size
        count, body, rest = 0, b"", frame[at:]
    elif constructor == 0xC0:  # list8
        size, count = frame[at], frame[at + 1]
        body, rest = frame[at + 2 : at + 1 + size], frame[at + 1 + size :]
    elif constructor == 0xD0:  # list32
        size, count = struct.unpack_from(">II", frame, at)
        body, rest = frame[at + 8 : at + 4 + size], frame[at + 4 + size :]
    else:
        return frame
    missing = max(0, _FIELDS.get(code, 0) - count)
    body += _NULL * missing
    fields = b"\xd0" + struct.pack(">II", len(body) + 4, count + missing) + body
    content = frame[4 : begin + 3] + fields + rest
    return struct.pack(">I", len(content) + 4) + content
