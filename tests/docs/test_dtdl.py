"""The DTDL model keeps the rules of the language, and says what the twin says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from docs.generators.dtdl import dtdl
from docs.generators.dtdl_rules import faults
from tests.support.running import busy_line

from visionedge.app import App
from visionedge.methods import METHODS
from visionedge.settings import Settings

LATER = {"module": {"desired_version"}, "camera": {"left_out"}, "model": {"left_out"}}
"""What is added to the facts on their way into the twin."""


def test_the_model_keeps_the_rules_of_dtdl() -> None:
    assert list(faults(dtdl())) == []


def schema(kind: str, **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"@type": kind, **parts}


def content(**parts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"@type": "Property", "name": "ok", "schema": "string", **parts}


def deep(levels: int) -> Any:  # noqa: ANN401 - JSON
    found: Any = "string"
    for _ in range(levels):
        found = schema("Array", elementSchema=found)
    return found


ENUM = [{"name": "a", "enumValue": "a"}]
KEY, VALUE = {"name": "k", "schema": "string"}, {"name": "v", "schema": "long"}


@pytest.mark.parametrize(
    "good",
    [
        content(),
        content(name="x" * 512),
        content(schema=deep(5)),
        content(schema=schema("Enum", valueSchema="string", enumValues=ENUM)),
        content(schema=schema("Map", mapKey=KEY, mapValue=VALUE)),
        {"@type": "Command", "name": "ok", "request": {"name": "r", "schema": "dateTime"}},
        {"@type": "Component", "name": "ok", "schema": "dtmi:visionedge:Camera;1"},
    ],
)
def test_what_the_language_allows_is_no_fault(good: dict[str, Any]) -> None:
    model = dtdl()
    model[0]["contents"].append(good)
    assert list(faults(model)) == []


@pytest.mark.parametrize(
    "bad",
    [
        content(name="9lives"),
        content(name="ends_"),
        content(name="a.b"),
        content(name="x" * 513),
        content(name=""),
        content(name=5),
        content(name="decision"),
        content(schema="text"),
        content(schema=None),
        content(schema=[]),
        content(schema=schema("List")),
        content(schema=deep(6)),
        content(schema=schema("Array")),
        content(schema=schema("Enum", valueSchema="double", enumValues=[])),
        content(schema=schema("Enum", valueSchema="integer", enumValues=ENUM)),
        content(schema=schema("Enum", valueSchema="string", enumValues=[*ENUM, *ENUM])),
        content(schema=schema("Map", mapKey=VALUE, mapValue=VALUE)),
        content(schema=schema("Map", mapKey=KEY)),
        content(schema=schema("Object", fields=[KEY, KEY])),
        content(schema=schema("Object", fields=[{"name": "f"}])),
        content(description="x" * 513),
        content(displayName="x" * 65),
        content(comment=None),
        content(writable="yes"),
        content(unit="metre"),
        content(__t="c"),
        {"name": "ok", "schema": "string"},
        {"@type": "Relationship", "name": "ok"},
        {"@type": "Command", "name": "ok", "request": {"name": "r"}},
        {"@type": "Component", "name": "ok", "schema": "dtmi:visionedge:Nobody;1"},
        {"@type": "Component", "name": "ok", "schema": "dtmi:visionedge:VisionModule;1"},
    ],
    ids=lambda bad: str(bad)[:70],
)
def test_a_broken_rule_is_found(bad: dict[str, Any]) -> None:
    model = dtdl()
    model[0]["contents"].append(bad)
    assert list(faults(model))


@pytest.mark.parametrize(
    "id_",
    [
        "visionedge", "dtmi:9a;1", "dtmi:a_;1", "dtmi:_a;1", "dtmi:a;0", "dtmi:a;01", "dtmi:a:;1",
        "dtmi:a;1234567890", "dtmi:dtdl:a;1", "dtmi:standard:a;1", f"dtmi:{'a' * 130};1",
        "dtmi:a b;1", "dtmi:a;1.", "",
    ],
)  # fmt: skip
def test_what_is_no_identifier_is_found(id_: str) -> None:
    model = dtdl()
    model[0]["@id"] = id_
    assert list(faults(model))


@pytest.mark.parametrize(
    "change",
    [{"@context": "dtmi:dtdl:context;2"}, {"@type": "Thing"}, {"extends": []}, {"contents": None}],
)
def test_what_is_no_interface_of_version_3_is_found(change: dict[str, Any]) -> None:
    model = dtdl()
    model[0] |= change
    assert list(faults(model))


def test_two_interfaces_of_one_name_and_a_model_that_is_too_large_are_found() -> None:
    assert list(faults([*dtdl(), dtdl()[1]]))
    many = [content(name=f"p{n}") for n in range(40_000)]
    model = dtdl()
    model[0]["contents"] += many
    assert any("too large" in fault for fault in faults(model))


def test_every_section_method_and_reported_component_is_in_it(tmp_path: Path) -> None:
    module, *components = dtdl()
    contents = {each["name"]: each["@type"] for each in module["contents"]}
    app = App([busy_line(tmp_path)], environment=os.environ)
    facts = app.facts()
    app.stop(0)
    assert contents == {
        **dict.fromkeys(Settings.model_fields, "Property"),
        **dict.fromkeys(METHODS, "Command"),
        **dict.fromkeys(facts, "Component"),
    }
    for component in components:
        name = component["displayName"].lower()
        told = set(facts[name]) - {"__t"} | LATER.get(name, set())
        assert {each["name"] for each in component["contents"]} == told


def test_the_model_is_smaller_than_iot_hub_takes() -> None:
    assert all(len(json.dumps(interface)) < 1024**2 for interface in dtdl())
