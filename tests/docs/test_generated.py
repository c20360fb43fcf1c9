"""What is made from the code says what the code says."""

import json
from typing import Any

import pytest
from docs.generate import ROOT, generated, stale
from docs.generators.fields import Row, rows, schema_of
from docs.generators.manifest import MODULE, desired
from jsonschema import Draft202012Validator

from visionedge import wire
from visionedge.settings import DEFAULTS, Settings, resolve

_ABSENT: Any = object()


def test_nothing_that_is_generated_is_stale() -> None:
    assert not stale(), "run `make generate` and commit what it writes"


def test_a_stale_page_is_found() -> None:
    wanted = generated()
    assert wanted["docs/reference/settings.md"] != wanted["docs/reference/metrics.md"]
    assert all(text.endswith("\n") for text in wanted.values())


@pytest.mark.parametrize("path", sorted((ROOT / "docs/reference/schemas").glob("*.json")))
def test_published_schemas_are_schemas(path: Any) -> None:  # noqa: ANN401 - a Path, as a parameter id
    Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


def test_the_schema_of_the_settings_takes_what_the_settings_take() -> None:
    validator = Draft202012Validator(schema_of(Settings))
    validator.validate(DEFAULTS)
    bad: dict[str, Any]
    for bad in ({"decison": {}}, {"decision": {"accept": 2}}, {"cameras": {"a b": {}}}):
        assert not validator.is_valid(bad)


def test_the_defaults_that_are_told_are_those_in_use() -> None:
    """Also where a section gives the fields of a part others than their class does."""
    root = schema_of(Settings)
    compared = 0
    used = resolve([{}]).model_dump(mode="json")
    for row in rows(root, root):
        if "<name>" in row.path or not row.default.startswith("`"):
            continue
        value: Any = used
        for part in row.path.split("."):
            value = value.get(part, _ABSENT) if isinstance(value, dict) else _ABSENT
        if value is not _ABSENT:
            compared += 1
            assert json.loads(row.default.strip("`")) == value, row.path
    assert compared > 60
    assert {row.path: row.default for row in rows(root, root)}[
        "escalation.budget.frames_per_minute"
    ] == "`60`"


def test_every_field_of_every_message_is_on_the_page() -> None:
    page = generated()["docs/reference/messages.md"]
    for name, message in wire.MESSAGES.items():
        section = page.partition(f"## `{name}`")[2].partition("\n## ")[0]
        for field in message.model_json_schema(by_alias=True)["properties"]:
            assert f"`{field}" in section


def test_fields_of_maps_lists_and_choices_are_found() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}}
    root = {
        "$defs": {"Inner": inner},
        "properties": {
            "map": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Inner"}},
            "list": {"type": "array", "items": {"$ref": "#/$defs/Inner"}, "maxItems": 3},
            "maybe": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}], "default": None},
        },
        "required": ["map"],
    }
    assert [(r.path, r.type, r.range, r.default) for r in rows(root, root)] == [
        ("map", "map of objects", "", "required"),
        ("map.<name>.x", "integer", "1 or more", ""),
        ("list", "list of objects", "up to 3 entries", ""),
        ("list[].x", "integer", "1 or more", ""),
        ("maybe", "object or null", "", "`null`"),
        ("maybe.x", "integer", "1 or more", ""),
    ]


def test_a_row_tells_range_and_default() -> None:
    field = {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 9,
        "default": 2,
        "description": "a",
    }
    root = {"properties": {"speed": field}}
    assert list(rows(root, root)) == [Row("speed", "number", "above 0; up to 9", "`2`", "a")]


def test_the_twin_defaults_of_the_manifest_are_settings_and_change_nothing() -> None:
    assert resolve([desired()]) == Settings()
    manifest = json.loads((ROOT / "deployment.template.json").read_text(encoding="utf-8"))
    assert manifest["modulesContent"][MODULE]["properties.desired"] == desired()


def test_the_twin_defaults_leave_room_in_the_twin() -> None:
    assert len(json.dumps(desired())) < 4096
