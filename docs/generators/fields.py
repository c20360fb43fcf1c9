"""The fields of a JSON Schema as rows of a table.

The reference pages are made from the same schemas that are published, so that page,
schema and validation cannot tell three different stories.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

Schema = Mapping[str, Any]
_UNSET: Final = object()
_TYPES: Final = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
    "array": "list",
}
_FORMATS: Final = {"date-time": "time, RFC 3339"}


@dataclass(frozen=True, slots=True)
class Row:
    """One field: where it is, what it takes, and what it is for."""

    path: str
    type: str
    range: str
    default: str
    description: str


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The published JSON Schema of a model."""
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        for field in part.get("properties", {}).values():
            if "patternProperties" in field:
                # A key that does not match is refused, which pydantic leaves unsaid.
                field["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def entries(field: Schema) -> Schema:
    """The schema of the values of a map; empty where the field is no map."""
    for values in (*field.get("patternProperties", {}).values(), field.get("additionalProperties")):
        if isinstance(values, Mapping):
            return values
    return {}


def resolve(schema: Schema, root: Schema) -> Schema:
    """`schema` with its reference followed; what stands beside a reference wins."""
    if "$ref" not in schema:
        return schema
    target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**resolve(target, root), **{k: v for k, v in schema.items() if k != "$ref"}}


def rows(schema: Schema, root: Schema, prefix: str = "") -> Iterator[Row]:
    """Every field at and below an object, depth first; the kinds of a union are left out."""
    required, own = schema.get("required", ()), schema.get("default")
    for name, raw in schema.get("properties", {}).items():
        field = resolve(raw, root)
        if isinstance(own, Mapping) and name in own:
            # The default of an object wins over those of its class, field by field.
            field = {**field, "default": own[name]}
        path = f"{prefix}{name}"
        below = list(_below(field, root, path))
        if not below or "properties" not in field:
            yield _row(path, field, root, needed=name in required)
        yield from below


def _below(field: Schema, root: Schema, path: str) -> Iterator[Row]:
    if "properties" in field:
        yield from rows(field, root, f"{path}.")
    for inner, suffix in ((entries(field), ".<name>"), (field.get("items", {}), "[]")):
        if "properties" in (item := resolve(inner, root)):
            yield from rows(item, root, f"{path}{suffix}.")
    for choice in field.get("anyOf", ()):
        if "properties" in (item := resolve(choice, root)):
            yield from rows(item, root, f"{path}.")


def _row(path: str, field: Schema, root: Schema, *, needed: bool) -> Row:
    description = field.get("description", "").replace("\n", " ")
    return Row(path, _type(field, root), _range(field, root), _default(field, needed), description)


def _default(field: Schema, needed: bool) -> str:
    default = field.get("default", _UNSET)
    if default is _UNSET:
        return "required" if needed else ""
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return "see below" if isinstance(default, dict) and default else f"`{json.dumps(default)}`"


def _type(field: Schema, root: Schema) -> str:
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    choices = field.get("anyOf") or field.get("oneOf")
    if choices:
        return " or ".join(_type(resolve(choice, root), root) for choice in choices)
    if "format" in field:
        return _FORMATS.get(field["format"], str(field["format"]))
    kind = field.get("type", "any")
    if kind == "array" and "prefixItems" in field:
        return f"list of {len(field['prefixItems'])} {_plural(field['prefixItems'][0], root)}"
    if kind == "array":
        return f"list of {_plural(field.get('items', {}), root)}"
    if kind == "object" and (values := entries(field)):
        return f"map of {_plural(values, root)}"
    return _TYPES.get(str(kind), str(kind))


def _plural(schema: Schema, root: Schema) -> str:
    inner = resolve(schema, root)
    kind = "object" if "oneOf" in inner else _type(inner, root)
    if kind.startswith("list of "):
        return kind.replace("list of ", "lists of ", 1)
    return kind if kind in ("text", "any") or " " in kind else f"{kind}s"


def _range(field: Schema, root: Schema) -> str:
    parts = [
        *_bounds(field),
        *_lengths(field, "minLength", "maxLength", "characters"),
        *_lengths(field, "minItems", "maxItems", "entries" if "prefixItems" not in field else ""),
        *_lengths(field, "minProperties", "maxProperties", "entries"),
        *([f"matches `{field['pattern']}`"] if "pattern" in field else []),
    ]
    for choice in field.get("anyOf", ()):
        parts += [part for part in [_range(resolve(choice, root), root)] if part]
    return "; ".join(parts)


def _bounds(field: Schema) -> Iterator[str]:
    low, high = field.get("minimum"), field.get("maximum")
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    if low is not None and high is not None:
        yield f"{low:,} to {high:,}"
    elif low is not None:
        yield f"{low:,} or more"
    if above is not None:
        yield f"above {above:,}"
    if high is not None and low is None:
        yield f"up to {high:,}"
    if below is not None:
        yield f"below {below:,}"


def _lengths(field: Schema, least: str, most: str, unit: str) -> Iterator[str]:
    low, high = field.get(least), field.get(most)
    if not unit or (low is None and high is None):
        return
    if high is None:
        yield f"{low} or more {unit}"
    else:
        yield f"{f'{low} to ' if low else 'up to '}{high:,} {unit}"
