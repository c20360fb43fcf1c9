"""What no hub takes, checked before it is sent.

IoT Hub and edgeHub answer an offence by closing the link, or not at all, and the SDK then
sends it again for ever; its own size check counts Python objects, not bytes. So every
client of ours refuses what breaks a limit, with a reason that names it.

Sources: IoT Hub quotas; edgeHub's ReportedPropertiesValidator.cs; MQTT 3.1.1, 1.5.3 (a
topic, which carries all properties, is at most 65,535 bytes).
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from visionedge.entities import Envelope
from visionedge.errors import UplinkRejected
from visionedge.uplink.hub import MethodAnswer
from visionedge.wire import MAX_MESSAGE_BYTES

MAX_TOPIC_BYTES: Final = 60_000
"""For the properties; the rest of the topic, with the ids of device and module, is short."""
MAX_REPORT_BYTES: Final = 32 * 1024
MAX_METHOD_BYTES: Final = 128 * 1024
_MAX_DEPTH: Final = 10
_MAX_NAME_BYTES: Final = 1024
_MAX_STRING_BYTES: Final = 4096
_MAX_INTEGER: Final = 2**52
_FORBIDDEN_IN_NAMES: Final = frozenset(" .$#")


def check_message(envelope: Envelope) -> None:
    """Raise UplinkRejected if no hub would take `envelope`."""
    if envelope.size_bytes > MAX_MESSAGE_BYTES:
        raise UplinkRejected(
            f"the message has {envelope.size_bytes} bytes, {MAX_MESSAGE_BYTES} is the limit",
            hint="lower escalation.snapshot.max_image_bytes",
        )
    topic_bytes = 0
    for name, value in envelope.properties.items():
        if not (name.isascii() and value.isascii() and name.isprintable()):
            raise UplinkRejected(
                f"property {name!r} is not ASCII", hint="keep such text in the body"
            )
        topic_bytes += len(quote(name, safe="")) + len(quote(value, safe="")) + 2
    if topic_bytes > MAX_TOPIC_BYTES:
        raise UplinkRejected(
            f"the properties have {topic_bytes} bytes when encoded, {MAX_TOPIC_BYTES} is the limit",
            hint="keep long text in the body",
        )


def check_report(patch: Mapping[str, Any]) -> None:
    """Raise UplinkRejected if `patch` breaks a rule for reported properties, naming its path."""
    try:
        size_bytes = len(json.dumps(patch, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise UplinkRejected(f"reported properties are not JSON: {error}") from None
    if size_bytes > MAX_REPORT_BYTES:
        raise UplinkRejected(
            f"reported properties have {size_bytes} bytes, {MAX_REPORT_BYTES} is the limit"
        )
    _check_object(patch, "", 1)


def allowed_answer(answer: MethodAnswer) -> MethodAnswer:
    """The answer, or a 500 that says why nobody would take it."""
    try:
        size_bytes = len(json.dumps(dict(answer.payload), allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        return MethodAnswer(500, {"error": f"the answer is not JSON: {error}"})
    if size_bytes > MAX_METHOD_BYTES:
        reason = f"the answer has {size_bytes} bytes, {MAX_METHOD_BYTES} is the limit"
        return MethodAnswer(500, {"error": reason})
    return answer


def _check_object(value: Mapping[str, Any], path: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise UplinkRejected(f"reported {path}: nested deeper than {_MAX_DEPTH}")
    for name, child in value.items():
        where = f"{path}.{name}" if path else name
        if not 0 < len(name.encode()) <= _MAX_NAME_BYTES:
            raise UplinkRejected(f"reported {where[:64]!r}: a name has 1 to 1024 bytes")
        if not name.isprintable() or _FORBIDDEN_IN_NAMES & set(name):
            raise UplinkRejected(f"reported {where!r}: a name holds no space, dot, $ or #")
        _check_value(child, where, depth)


def _check_value(value: object, where: str, depth: int) -> None:
    match value:
        case Mapping():
            _check_object(value, where, depth + 1)
        case list() | tuple():
            for item in value:
                if item is None:
                    raise UplinkRejected(f"reported {where}: null inside a list")
                _check_value(item, where, depth)
        case str() if len(value.encode()) > _MAX_STRING_BYTES:
            raise UplinkRejected(f"reported {where}: a text over {_MAX_STRING_BYTES} bytes")
        case int() if abs(value) > _MAX_INTEGER:
            raise UplinkRejected(f"reported {where}: a number beyond 2^52")
