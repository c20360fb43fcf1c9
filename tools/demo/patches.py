"""Twin patches made from the schema of the settings: some that fit it, some that do not.

What fits is drawn by the schema's own types and ranges; what does not is put where something
that fits would belong, or where nothing belongs. So a setting that is added tomorrow is
patched tomorrow, and nobody has to remember it. Draws hang on the seed alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import hypothesis
from hypothesis import strategies as st

from visionedge.settings import Settings

T = TypeVar("T")
Schema = Mapping[str, Any]
Strategy = st.SearchStrategy[Any]
CALM: Final = ("decision", "escalation", "telemetry", "log", "delivery")
"""Sections of which any value leaves a module that can still be asked how it is."""
_KEPT: Final = frozenset({"archive", "redaction", "second", "classes", "signatures", "keys_path"})
"""Fields that name files or models, which are not there."""
_MAX_ITEMS: Final = 3
_NASTY: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.sampled_from(["", "\x00", "a" * 5000, "../../etc/passwd", "NaN", "1e999", "/dev/null"]),
    st.sampled_from(
        ["rtsp://u:pw@h/x", "${env:NOBODY}", "${file:/etc/shadow}", "file:///dev/zero"]
    ),
)
_HOSTILE: Final = st.recursive(
    _NASTY,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


class Patches:
    """An endless supply of patches; the same seed gives the same ones.

    Args:
        seed: decides.
    """

    def __init__(self, seed: int) -> None:
        schema = Settings.model_json_schema()
        self._good = _endless(good_patches(schema), seed)
        self._hostile = _endless(hostile_patches(schema), seed)

    def good(self) -> dict[str, Any]:
        """A patch that fits the schema; rules between fields may still refuse it."""
        return next(self._good)

    def hostile(self) -> dict[str, Any]:
        """A patch that most likely does not fit."""
        return next(self._hostile)


def good_patches(schema: Schema) -> "st.SearchStrategy[dict[str, Any]]":
    """One to three fields of one calm section, as the schema wants them."""
    sections = {name: _resolved(schema["properties"][name], schema) for name in CALM}

    def fields(name: str) -> "st.SearchStrategy[dict[str, Any]]":
        values = {
            field: value(of, schema)
            for field, of in sections[name]["properties"].items()
            if field not in _KEPT
        }
        chosen = st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=3, unique=True)
        return chosen.flatmap(lambda names: st.fixed_dictionaries({n: values[n] for n in names}))

    return st.sampled_from(CALM).flatmap(
        lambda name: fields(name).map(lambda changes: {name: changes})
    )


def hostile_patches(schema: Schema) -> "st.SearchStrategy[dict[str, Any]]":
    """Values of any kind at one to three places, known and unknown."""
    known = st.sampled_from(sorted(_paths(schema, schema)))
    unknown = st.lists(st.text(max_size=8), min_size=1, max_size=3).map(tuple)
    places = st.lists(st.tuples(known | unknown, _HOSTILE), min_size=1, max_size=3)
    return places.map(lambda drawn: _merged([_nested(path, bad) for path, bad in drawn]))


def value(schema: Schema, root: Schema) -> Strategy:
    """What a part of a JSON Schema allows.

    Raises:
        ValueError: the schema says something that this does not know; teach it.
    """
    schema = _resolved(schema, root)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return st.one_of([value(each, root) for each in schema[choice]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**31))
        case "number":
            return _number(schema)
        case "string":
            return _text(schema)
        case "array":
            items = value(schema.get("items", {"type": "string"}), root)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=_MAX_ITEMS)
        case "object":
            named = {name: value(of, root) for name, of in schema.get("properties", {}).items()}
            return st.fixed_dictionaries({}, optional=named)
    raise ValueError(f"no values are known for {schema}")


def _number(schema: Schema) -> Strategy:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 1e9))
    return st.floats(
        low,
        high,
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
        allow_subnormal=False,
    )


def _text(schema: Schema) -> Strategy:
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda at: at.isoformat(timespec="seconds") + "Z")
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    return st.text(
        st.characters(codec="ascii", categories=("L", "N")),
        min_size=schema.get("minLength", 0),
        max_size=min(schema.get("maxLength", 20), 20),
    )


def _endless(strategy: "st.SearchStrategy[T]", seed: int, count: int = 20) -> Iterator[T]:
    while True:
        yield from _drawn(strategy, seed, count)
        seed += 1


def _drawn(strategy: "st.SearchStrategy[T]", seed: int, count: int) -> list[T]:
    found: list[T] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(drawn: T) -> None:
        found.append(drawn)

    collect()
    return found


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _paths(schema: Schema, root: Schema, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, of in _resolved(schema, root).get("properties", {}).items():
        yield (*prefix, name)
        yield from _paths(of, root, (*prefix, name))


def _nested(path: tuple[str, ...], bad: object) -> object:
    for name in reversed(path):
        bad = {name: bad}
    return bad


def _merged(parts: list[object]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= part if isinstance(part, dict) else {}
    return merged
