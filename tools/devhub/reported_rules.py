"""What edgeHub demands of a patch of the reported properties.

A module that breaks these rules sees nothing of it in the field: edgeHub just does not answer
well. So the hub checks them all and refuses with 400, naming the path of the offence in its
events.

Source: edgeHub's ReportedPropertiesValidator.cs and "Understand and use module twins", Microsoft
Learn.
"""

import json
from typing import Any

from devhub.twin import JsonObject, merge, to_json

MAX_DOCUMENT_BYTES = 32 * 1024
MAX_DEPTH = 10
MAX_NAME_BYTES = 1024
MAX_STRING_BYTES = 4096
MAX_INTEGER = 2**52
_FORBIDDEN_IN_NAMES = frozenset(" .$#")
_FIRST_PRINTABLE = " "
_CONTROL_BLOCK_END = "\x9f"
_DELETE = "\x7f"


class ReportRefused(Exception):
    """The patch breaks a rule; the message names the path and the rule."""


def parse_report(payload: bytes, reported: JsonObject) -> JsonObject:
    """Reads and checks a patch against the document that it will be merged into.

    Raises:
        ReportRefused: It is no JSON object, or breaks a rule.
    """
    if len(payload) > MAX_DOCUMENT_BYTES:
        raise ReportRefused(
            f"the patch has {len(payload)} bytes, {MAX_DOCUMENT_BYTES} is the limit"
        )
    try:
        patch = json.loads(payload.decode("utf-8"), parse_constant=_no_constant)
        if not isinstance(patch, dict):
            raise ReportRefused("the patch is no JSON object")
        _check_object(patch, "", depth=0)
        whole_bytes = len(to_json(merge(reported, patch)))
    except (ValueError, RecursionError) as error:
        raise ReportRefused(f"the patch is no JSON that a twin holds: {error}") from error
    if whole_bytes > MAX_DOCUMENT_BYTES:
        raise ReportRefused(
            f"all reported properties would have {whole_bytes} bytes, "
            f"{MAX_DOCUMENT_BYTES} is the limit"
        )
    return patch


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _check_object(value: JsonObject, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ReportRefused(f"{path}: nested deeper than {MAX_DEPTH}")
    for name, child in value.items():
        where = f"{path}.{name}" if path else name
        _check_name(name, where)
        _check_value(child, where, depth)


def _check_name(name: str, where: str) -> None:
    if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise ReportRefused(f"{where[:64]}...: a name over {MAX_NAME_BYTES} bytes")
    for letter in name:
        control = letter < _FIRST_PRINTABLE or _DELETE <= letter <= _CONTROL_BLOCK_END
        if control or letter in _FORBIDDEN_IN_NAMES:
            raise ReportRefused(f"{where}: a name must not contain {letter!r}")


# Any: this walks whatever JSON the module sent.
def _check_value(value: Any, where: str, depth: int) -> None:  # noqa: ANN401
    match value:
        case dict():
            _check_object(value, where, depth + 1)
        case list():
            for place, item in enumerate(value):
                if item is None:
                    raise ReportRefused(f"{where}[{place}]: null inside an array")
                _check_value(item, f"{where}[{place}]", depth)
        case str() if len(value.encode("utf-8", "replace")) > MAX_STRING_BYTES:
            raise ReportRefused(f"{where}: a string over {MAX_STRING_BYTES} bytes")
        case int() if abs(value) > MAX_INTEGER:
            raise ReportRefused(f"{where}: an integer outside of +-2^52")
