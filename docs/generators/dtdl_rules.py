"""What Microsoft's parser would refuse of a DTDL v3 model, as far as the language says it.

The parser is a .NET library and is not asked here; these are the rules of the published
language: identifiers, names and their uniqueness, lengths, which properties an element may
and must have, what may stand in which place, and how deep. Where editions of the page differ
the stricter number is taken (display names of 64 characters, schemas 5 deep).

Not covered: inheritance, relationships, semantic types and feature extensions, which our model
does not use and which are therefore refused as unknown.

Source: DTDL v3, https://azure.github.io/opendigitaltwins-dtdl/DTDL/v3/DTDL.v3.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

CONTEXT: Final = "dtmi:dtdl:context;3"
PRIMITIVES: Final = frozenset(
    ("boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string")
) | {"time"}
MAX_TEXT: Final = 512
MAX_TITLE: Final = 64
_MAX_NAME: Final = 512
_MAX_ID: Final = 128
"""Of an interface; other elements may have longer ones, and ours have none."""
_MAX_DEPTH: Final = 5
_MAX_ELEMENTS: Final = 100_000
_MAX_BYTES: Final = 1024**2
_SEGMENT: Final = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
_DTMI: Final = re.compile(
    rf"dtmi:{_SEGMENT}(?::{_SEGMENT})*(?:;[1-9]\d{{0,8}}(?:\.[1-9]\d{{0,5}})?)?"
)
_NAME: Final = re.compile(_SEGMENT)
_RESERVED: Final = ("dtmi:dtdl:", "dtmi:standard:")
_TOLD: Final = frozenset(("@type", "@id", "comment", "description", "displayName"))
_PARTS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "Interface": (frozenset(("@context", "@id", "@type")), frozenset(("contents",))),
    "Property": (frozenset(("@type", "name", "schema")), frozenset(("writable",))),
    "Telemetry": (frozenset(("@type", "name", "schema")), frozenset()),
    "Command": (frozenset(("@type", "name")), frozenset(("request", "response"))),
    "Component": (frozenset(("@type", "name", "schema")), frozenset()),
    "CommandPayload": (frozenset(("name", "schema")), frozenset()),
    "Array": (frozenset(("@type", "elementSchema")), frozenset()),
    "Enum": (frozenset(("@type", "valueSchema")), frozenset(("enumValues",))),
    "EnumValue": (frozenset(("name", "enumValue")), frozenset()),
    "Map": (frozenset(("@type", "mapKey", "mapValue")), frozenset()),
    "MapKey": (frozenset(("name", "schema")), frozenset()),
    "MapValue": (frozenset(("name", "schema")), frozenset()),
    "Object": (frozenset(("@type",)), frozenset(("fields",))),
    "Field": (frozenset(("name", "schema")), frozenset()),
}
"""By kind of element: what it must have, and what it may have besides `_TOLD`."""
_CONTENTS: Final = ("Property", "Telemetry", "Command", "Component")
Faults = Iterator[str]


def faults(model: list[Any]) -> Faults:
    """What breaks a rule, with its place; nothing for a model that may be published."""
    interfaces = [each for each in model if isinstance(each, dict)]
    if len(interfaces) < len(model):
        yield "a model is a list of interfaces"
    ids = [str(each.get("@id")) for each in interfaces]
    yield from (f"{id_} is there twice" for id_ in set(ids) if ids.count(id_) > 1)
    compound = {
        str(each.get("@id"))
        for each in interfaces
        if any(content.get("@type") == "Component" for content in _listed(each, "contents"))
    }
    for interface in interfaces:
        at = str(interface.get("@id"))
        yield from (f"{at}: {fault}" for fault in _interface(interface, set(ids), compound))


def _interface(interface: Mapping[str, Any], ids: set[str], compound: set[str]) -> Faults:
    id_ = str(interface.get("@id"))
    yield from _element(interface, "Interface")
    if interface.get("@context") != CONTEXT or interface.get("@type") != "Interface":
        yield f"no interface of {CONTEXT}"
    if not _DTMI.fullmatch(id_) or len(id_) > _MAX_ID or id_.startswith(_RESERVED):
        yield f"{id_} is no identifier of an interface"
    if _elements(interface) > _MAX_ELEMENTS or len(json.dumps(interface)) > _MAX_BYTES:
        yield "it is too large"
    contents = _listed(interface, "contents")
    yield from _unique(contents, "name")
    for content in contents:
        at = content.get("name")
        yield from (f"{at}: {fault}" for fault in _content(content, ids, compound))


def _content(content: Mapping[str, Any], ids: set[str], compound: set[str]) -> Faults:
    kind = content.get("@type")
    if kind not in _CONTENTS:
        yield f"{kind} is no kind of content"
        return
    yield from _element(content, str(kind))
    if not isinstance(content.get("writable", True), bool):
        yield "writable is true or false"
    if kind == "Component":
        schema = content.get("schema")
        if schema not in ids:
            yield f"{schema} is not defined"
        elif schema in compound:
            yield f"{schema} has components itself"
    elif kind == "Command":
        for way in ("request", "response"):
            if way in content:
                yield from _element(content[way], "CommandPayload")
                yield from _schema(content[way].get("schema"), 1)
    else:
        yield from _schema(content.get("schema"), 1)


def _schema(schema: object, depth: int) -> Faults:
    if isinstance(schema, str):
        if schema not in PRIMITIVES:
            yield f"{schema} is no schema"
        return
    if not isinstance(schema, Mapping) or schema.get("@type") not in _COMPLEX:
        yield f"{schema!r} is no schema"
        return
    if depth > _MAX_DEPTH:
        yield f"schemas are nested deeper than {_MAX_DEPTH}"
        return
    kind = str(schema["@type"])
    yield from _element(schema, kind)
    yield from _COMPLEX[kind](schema, depth)


def _array(schema: Mapping[str, Any], depth: int) -> Faults:
    yield from _schema(schema.get("elementSchema"), depth + 1)


def _enum(schema: Mapping[str, Any], _: int) -> Faults:
    kinds = {"string": str, "integer": int}
    wanted = kinds.get(str(schema.get("valueSchema")))
    if wanted is None:
        yield "valueSchema is string or integer"
        return
    values = _listed(schema, "enumValues")
    yield from _unique(values, "name")
    yield from _unique(values, "enumValue")
    for value in values:
        yield from _element(value, "EnumValue")
        if type(value.get("enumValue")) is not wanted:
            yield f"{value.get('enumValue')!r} is no {schema['valueSchema']}"


def _map(schema: Mapping[str, Any], depth: int) -> Faults:
    key, value = schema.get("mapKey"), schema.get("mapValue")
    if not isinstance(key, Mapping) or not isinstance(value, Mapping):
        yield "a map has a key and a value"
        return
    yield from _element(key, "MapKey")
    yield from _element(value, "MapValue")
    if key.get("schema") != "string":
        yield "the key of a map is a string"
    yield from _schema(value.get("schema"), depth + 1)


def _object(schema: Mapping[str, Any], depth: int) -> Faults:
    fields = _listed(schema, "fields")
    yield from _unique(fields, "name")
    for field in fields:
        yield from _element(field, "Field")
        at = field.get("name")
        yield from (f"{at}: {fault}" for fault in _schema(field.get("schema"), depth + 1))


_COMPLEX: Final = {"Array": _array, "Enum": _enum, "Map": _map, "Object": _object}


def _element(element: Mapping[str, Any], kind: str) -> Faults:
    """What all elements have in common."""
    needed, possible = _PARTS[kind]
    yield from (f"{part} is missing" for part in sorted(needed - element.keys()))
    unknown = element.keys() - needed - possible - _TOLD
    yield from (f"{kind} has no {part}" for part in sorted(unknown))
    yield from (f"{part} is null" for part, value in element.items() if value is None)
    name = element.get("name")
    if "name" in needed and not (
        isinstance(name, str) and len(name) <= _MAX_NAME and _NAME.fullmatch(name)
    ):
        yield f"{name!r} is no name"
    for part, most in (
        ("displayName", MAX_TITLE),
        ("description", MAX_TEXT),
        ("comment", MAX_TEXT),
    ):
        text = element.get(part, "")
        if not isinstance(text, str) or len(text) > most:
            yield f"{part} is a text of at most {most} characters"


def _unique(elements: list[Mapping[str, Any]], part: str) -> Faults:
    seen = [str(element.get(part)) for element in elements]
    yield from (f"{value} is there twice" for value in sorted(set(seen)) if seen.count(value) > 1)


def _listed(element: Mapping[str, Any], part: str) -> list[Mapping[str, Any]]:
    found = element.get(part, [])
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _elements(value: object) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(_elements(inner) for inner in value.values())
    return sum(_elements(inner) for inner in value) if isinstance(value, list) else 0
