"""The Bicep template, parsed: who may do what, what is routed, what scales, what is forgotten.

Microsoft's compiler and linter are in no package registry, so it is read by pycep and held to rules
here. It has not been deployed by these tests.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from pycep import BicepParser

from verifier.settings import DatasetSettings, EventsSettings, StoreSettings
from visionedge.wire import Escalation, VerdictQuery

ROOT: Final = Path(__file__).parents[2]
BICEP: Final = ROOT / "cloud/infra/main.bicep"
ROLES: Final = {
    # Microsoft Learn, "Azure built-in roles".
    "eventsReceiver": "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    "eventsSender": "2b629674-e913-4c01-ae53-ef4638d8f975",
    "blobContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "hubContributor": "4fc6c259-987e-4a07-842e-c321cc9d413f",
    "visionUser": "a97b65f3-24c7-4388-baec-2e87135dc908",
}
LEAST: Final = {
    # Who, on what, as what; and nothing else.
    ("identity", "hub", "eventsReceiver"),
    ("identity", "container", "blobContributor"),
    ("identity", "samples", "blobContributor"),
    ("identity", "iotHub", "hubContributor"),
    ("identity", "vision", "visionUser"),
    ("iotHub", "hub", "eventsSender"),
    ("router", "hub", "eventsSender"),
}


@cache
def template() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(json.dumps(BicepParser().parse(text=BICEP.read_text())))
    return parsed


def variable(name: str) -> Any:  # noqa: ANN401 - of whatever kind it is
    return template()["variables"][name]["value"]


def resource(name: str) -> dict[str, Any]:
    """The body of a resource, whether it has a condition or not."""
    body: dict[str, Any] = template()["resources"][name]["config"]
    return body["config"] if "condition" in body else body


def symbols(node: object) -> set[str]:
    """What the accessors below a node begin with: of `a.b.c` that is `a`."""
    if isinstance(node, list):
        return set().union(*(symbols(each) for each in node), set[str]())
    if not isinstance(node, dict):
        return set()
    if node.get("type") == "property_accessor":
        first = node["operands"]["operand_1"]
        return {first} if isinstance(first, str) else symbols(first)
    return set().union(*(symbols(each) for each in node.values()), set[str]())


def second_operands(node: object) -> list[str]:
    """The properties that are accessed below a node, in order."""
    return re.findall(r'"operand_2": "(\w+)"', json.dumps(node))


def test_the_template_parses_and_what_it_names_is_there() -> None:
    known = {*template()["resources"], *template()["variables"], *template()["parameters"]}
    for name in template()["resources"]:
        body = resource(name)
        assert symbols(body) <= known, name
        for other in (*body.get("dependsOn", ()), body.get("scope"), body.get("parent")):
            assert other is None or other in known, name


def test_each_identity_may_do_what_it_must_and_nothing_else() -> None:
    assert variable("roles") == ROLES
    given = set()
    for name, each in template()["resources"].items():
        if each["type"].endswith("/roleAssignments"):
            body = resource(name)
            (who,) = symbols(body["properties"]["principalId"])
            role = second_operands(body["properties"]["roleDefinitionId"])[0]
            given.add((who, body["scope"], role))
    assert given == LEAST


def test_no_key_opens_anything() -> None:
    assert resource("namespace")["properties"]["disableLocalAuth"] is True
    storage = resource("storage")["properties"]
    assert storage["allowSharedKeyAccess"] is False
    assert storage["allowBlobPublicAccess"] is False
    assert "listKeys" not in BICEP.read_text()
    for part in ("namespace", "storage", "newIotHub"):
        tls = resource(part)["properties"]
        assert re.search(r"1.2", str(tls.get("minimumTlsVersion", tls.get("minTlsVersion"))))


def test_the_hub_routes_by_what_the_module_stamps() -> None:
    stamped = [
        message.model_fields["schema_name"].default for message in (Escalation, VerdictQuery)
    ]
    wanted = " OR ".join(f"schema = '{schema}'" for schema in stamped)
    assert variable("routeQuery").replace("\\'", "'") == wanted
    assert template()["outputs"]["routeCondition"]["value"] == variable("routeQuery")
    assert wanted in (ROOT / "docs/how-to/deploy-the-verifier.md").read_text()
    routing = resource("newIotHub")["properties"]["routing"]
    (route,), (endpoint,) = routing["routes"], routing["endpoints"]["eventHubs"]
    assert (route["condition"], route["source"]) == ("routeQuery", "DeviceMessages")
    assert route["endpointNames"] == [endpoint["name"]]
    assert endpoint["authenticationType"] == "identityBased"
    assert routing["fallbackRoute"]["isEnabled"] is True
    assert resource("newIotHub")["dependsOn"] == ["routerMaySend"]


def test_the_workers_scale_with_the_lag_that_their_checkpoints_show() -> None:
    scale = resource("worker")["properties"]["template"]["scale"]
    (rule,) = scale["rules"]
    assert rule["custom"]["type"] == "azure-eventhub"
    metadata = rule["custom"]["metadata"]
    # KEDA's scaler, "Azure Event Hubs"; blobMetadata is how the SDK's BlobCheckpointStore writes.
    assert metadata["checkpointStrategy"] == "blobMetadata"
    assert metadata["blobContainer"] == "containerName"
    assert metadata["consumerGroup"] == "consumerGroupName"
    assert int(metadata["unprocessedEventThreshold"]) > 0
    assert "identity" in rule["custom"]
    partitions = resource("hub")["properties"]["partitionCount"]
    assert 1 <= scale["minReplicas"] <= scale["maxReplicas"] <= partitions


def test_the_names_are_those_that_the_settings_take_as_given() -> None:
    assert variable("escalations") == EventsSettings().name
    assert variable("consumerGroupName") == EventsSettings().consumer_group
    assert variable("containerName") == StoreSettings().container
    example = json.loads((ROOT / "cloud/verifier.example.json").read_text())
    assert DatasetSettings(**example["dataset"]).container == variable("samplesName")


@pytest.mark.parametrize("prefix", ["ledger", "cache", "dead", "budget", "samples", "paused"])
def test_what_is_written_is_forgotten_one_day(prefix: str) -> None:
    forget, samples = resource("lifecycle")["properties"]["policy"]["rules"]
    assert f"${{containerName}}/{prefix}/" in forget["definition"]["filters"]["prefixMatch"]
    assert set(samples["definition"]["filters"]["blobTypes"]) == {"blockBlob", "appendBlob"}
    assert all(each["enabled"] for each in (forget, samples))


def test_every_resource_names_a_dated_api() -> None:
    for each in template()["resources"].values():
        assert re.fullmatch(r"Microsoft\.[\w/.]+", each["type"])
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", each["api_version"])
    for name in template()["parameters"]:
        assert len(re.findall(rf"\b{name}\b", BICEP.read_text())) >= 2, name
