"""Definitions of modules that edgeAgent or Docker would refuse, or overlook."""

import copy
from typing import Any

import pytest
from tests.deployment.manifest import own, template

from visionedge.deployment.limits import faults

AGENT = "modulesContent.$edgeAgent.properties.desired.modules.visionedge"
OPTIONS = f"{AGENT}.settings.createOptions"


def with_module(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    document = template()
    own(document).update(changes)
    return document


def with_options(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    document = template()
    own(document)["settings"]["createOptions"].update(changes)
    return document


@pytest.mark.parametrize(
    ("name", "value"),
    [("restartPolicy", "allways"), ("status", "jogging"), ("imagePullPolicy", None)],
)
def test_a_word_that_edgeagent_does_not_know_is_told(name: str, value: object) -> None:
    [fault] = faults(with_module(**{name: value}))
    assert fault.startswith(f"{AGENT}.{name}: ")
    assert " is none of " in fault


def test_a_misspelt_option_is_told_with_the_right_one() -> None:
    document = template()
    options = own(document)["settings"]["createOptions"]
    options["HostConfg"] = options.pop("HostConfig")
    assert faults(document) == [
        f"{OPTIONS}.HostConfg: there is no such option; is it `HostConfig`?"
    ]
    [fault] = faults(with_options(HostConfig={"Memmory": 1}))
    assert fault.startswith(f"{OPTIONS}.HostConfig.Memmory: ")


@pytest.mark.parametrize("value", ["768m", "805306368", 1.5, True])
def test_a_number_that_docker_does_not_read_is_told(value: object) -> None:
    [fault] = faults(with_options(HostConfig={"Memory": value}))
    assert fault.startswith(f"{OPTIONS}.HostConfig.Memory: ")
    assert "no whole number" in fault


@pytest.mark.parametrize(
    "changes",
    [
        {"hostConfig": {"memory": 1}},
        {"HostConfig": {"Memory": None, "NewInDocker": {"a": 1}}},
        {"k8s-experimental": {}},
    ],
)
def test_what_docker_may_take_is_taken(changes: dict[str, Any]) -> None:
    assert faults(with_options(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"settings": None}, "visionedge.settings: `null` is no object with an `image`"),
        ({"env": ["A=1"]}, 'visionedge.env: `["A=1"]` is no object of names'),
        ({"env": {"A": "1"}}, 'visionedge.env.A: `"1"` is no value; write {"value": ...}'),
    ],
)
def test_a_part_of_another_shape_is_told(changes: dict[str, Any], told: str) -> None:
    assert f"modulesContent.$edgeAgent.properties.desired.modules.{told}" in faults(
        with_module(**changes)
    )


def test_create_options_that_are_no_object_are_told() -> None:
    document = template()
    settings = own(document)["settings"]
    settings["createOptions"] = "{"
    assert faults(document) == [f"{OPTIONS}: it is no JSON object"]
    for empty in ("", "{}"):
        settings["createOptions"] = empty
        assert faults(document) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", 99),
        ("priority", "1"),
        ("priority", True),
        ("timeToLiveSecs", -1),
        ("timeToLiveSecs", 2**32),
    ],
)
def test_a_number_of_a_route_that_edgehub_does_not_take_is_told(name: str, value: object) -> None:
    document = copy.deepcopy(template())
    hub = document["modulesContent"]["$edgeHub"]["properties.desired"]
    hub["routes"]["health"][name] = value
    [fault] = faults(document)
    assert f"$edgeHub.properties.desired.routes.health.{name}: " in fault
    assert "is no whole number of 0 to " in fault
