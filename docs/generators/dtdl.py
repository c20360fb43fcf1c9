"""docs/reference/dtdl: the module as a DTDL v3 model, from the settings, methods and messages.

A twin explorer that knows IoT Plug and Play shows a device by such a model. Each section of
the settings is one writable property, because it is taken and acknowledged whole; it is
described down to its fields. What the module reports unasked are components. What DTDL
cannot say is in the JSON Schema: ranges, and the fields of a camera by its kind, which is a
string here. Messages are no telemetry of this model: they go out by routes of IoT Edge.

Source: DTDL v3, https://azure.github.io/opendigitaltwins-dtdl/DTDL/v3/DTDL.v3.html
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from docs.generators.dtdl_rules import CONTEXT, MAX_TEXT
from docs.generators.fields import Schema, entries, resolve, schema_of

from visionedge.methods import METHODS
from visionedge.settings import Settings
from visionedge.wire import OutageBody

ROOT: Final = "dtmi:visionedge:VisionModule;1"
Element = dict[str, Any]
_PRIMITIVES: Final = {
    "string": "string",
    "number": "double",
    "integer": "long",
    "boolean": "boolean",
}


def _map(value: str | Element) -> Element:
    """Anything by name."""
    return {
        "@type": "Map",
        "mapKey": {"name": "name", "schema": "string"},
        "mapValue": {"name": "entry", "schema": value},
    }


_BUNDLE: Final = {
    "@type": "Object",
    "fields": [
        {"name": name, "schema": "double" if name == "share" else "string"}
        for name in ("desired", "staged", "state", "share", "active", "previous", "reason")
    ],
}
_FACTS: Final[Mapping[str, Mapping[str, str | Element]]] = {
    "module": {
        "version": "string",
        "settings_revision": "long",
        "desired_version": "long",
        "load": "string",
        "spool_fault": "string",
    },
    "connectivity": {
        "state": "string",
        "escalations_paused_until": "string",
        "outage": "OutageBody",
    },
    "camera": {"states": _map("string"), "drift": _map("string"), "left_out": "long"},
    "model": {"bundles": _map(_BUNDLE), "runs": _map("string"), "left_out": "long"},
    "privacy": {"masked_cameras": "long"},
}
"""The reported components, as `App.facts` and `FactsReport` give them; a test compares them."""
_MESSAGES: Final = {"OutageBody": OutageBody}
"""What is reported as a message says it."""


def dtdl() -> list[Element]:
    """The interfaces, the module first."""
    return [_module(), *(_component(name) for name in _FACTS)]


def _module() -> Element:
    root = schema_of(Settings)
    return {
        "@context": CONTEXT,
        "@id": ROOT,
        "@type": "Interface",
        "displayName": "visionedge",
        "description": "On-device vision that sends upstream only what it doubts.",
        "contents": [
            *(
                _property(name, resolve(raw, root), root)
                for name, raw in root["properties"].items()
            ),
            *(_command(name, method.meaning) for name, method in METHODS.items()),
            *({"@type": "Component", "name": name, "schema": _id(name)} for name in _FACTS),
        ],
    }


def _component(name: str) -> Element:
    return {
        "@context": CONTEXT,
        "@id": _id(name),
        "@type": "Interface",
        "displayName": name.capitalize(),
        "contents": [
            {"@type": "Property", "name": field, "schema": _fact(schema)}
            for field, schema in _FACTS[name].items()
        ],
    }


def _fact(schema: str | Element) -> str | Element:
    if isinstance(schema, str) and schema in _MESSAGES:
        root = schema_of(_MESSAGES[schema])
        return _schema(root, root, 1)
    return schema


def _id(name: str) -> str:
    return f"dtmi:visionedge:{name.capitalize()};1"


def _property(name: str, field: Schema, root: Schema) -> Element:
    return {
        "@type": "Property",
        "name": name,
        "displayName": field["title"],
        "description": str(field.get("description", ""))[:MAX_TEXT],
        "writable": True,
        "schema": _schema(field, root, 1),
    }


def _command(name: str, meaning: str) -> Element:
    return {"@type": "Command", "name": name, "description": meaning[:MAX_TEXT]}


def _schema(raw: Schema, root: Schema, depth: int) -> str | Element:
    """The DTDL schema of a field; a choice of kinds is a string of JSON."""
    field = resolve(raw, root)
    choices = [c for c in field.get("anyOf", ()) if c.get("type") != "null"]
    if len(choices) == 1:
        return _schema(choices[0], root, depth)
    if "enum" in field or "const" in field:
        values = field.get("enum") or [field["const"]]
        return _enum(values) if all(isinstance(v, str) for v in values) else "string"
    if properties := field.get("properties"):
        return {
            "@type": "Object",
            "fields": [
                {"name": name, "schema": _schema(below, root, depth + 1)}
                for name, below in properties.items()
            ],
        }
    if values := entries(field):
        inner = _schema(values, root, depth + 1)
        return _map(inner)
    if field.get("type") == "array" and "items" in field:
        return {"@type": "Array", "elementSchema": _schema(field["items"], root, depth + 1)}
    if field.get("format") == "date-time":
        return "dateTime"
    return _PRIMITIVES.get(str(field.get("type")), "string")


def _enum(values: list[str]) -> Element:
    return {
        "@type": "Enum",
        "valueSchema": "string",
        "enumValues": [{"name": _name(value), "enumValue": value} for value in values],
    }


def _name(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", value)
