"""The DTDL model keeps the rules of the language, and says what the twin says."""

import json
import os
from pathlib import Path

import pytest
from docs.generators.dtdl import dtdl, faults
from tests.support.running import busy_line

from visionedge.app import App
from visionedge.methods import METHODS
from visionedge.settings import Settings

LATER = {"module": {"desired_version"}, "camera": {"left_out"}, "model": {"left_out"}}
"""What is added to the facts on their way into the twin."""


def test_the_model_keeps_the_rules_of_dtdl() -> None:
    assert list(faults(dtdl())) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"@type": "Property", "name": "9lives", "schema": "string"},
        {"@type": "Property", "name": "ok", "schema": "text"},
        {"@type": "Property", "name": "ok", "schema": {"@type": "List"}},
        {"@type": "Component", "name": "ok", "schema": "dtmi:visionedge:Nobody;1"},
        {"@type": "Property", "name": "ok", "schema": "string", "description": "x" * 513},
    ],
)
def test_a_broken_rule_is_found(bad: dict[str, object]) -> None:
    model = dtdl()
    model[0]["contents"].append(bad)
    assert list(faults(model))


def test_every_section_method_and_reported_component_is_in_it(tmp_path: Path) -> None:
    module, *components = dtdl()
    contents = {content["name"]: content["@type"] for content in module["contents"]}
    facts = App([busy_line(tmp_path)], environment=os.environ).facts()
    assert contents == {
        **dict.fromkeys(Settings.model_fields, "Property"),
        **dict.fromkeys(METHODS, "Command"),
        **dict.fromkeys(facts, "Component"),
    }
    for component in components:
        name = component["displayName"].lower()
        told = set(facts[name]) - {"__t"} | LATER.get(name, set())
        assert {content["name"] for content in component["contents"]} == told


def test_the_model_is_smaller_than_iot_hub_takes() -> None:
    assert all(len(json.dumps(interface)) < 1024**2 for interface in dtdl())
