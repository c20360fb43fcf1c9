"""The manifest against the public schemas of IoT Edge, where they lie beside the project."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft4Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from tests.deployment.manifest import SCHEMAS, final, own, template

pytestmark = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="no schemas in ../shared/schemas")
STORE = "https://json.schemastore.org/"


def registry() -> Registry[Any]:
    """All schemas by the address under which they refer to each other; nothing is fetched."""
    resources = [
        (STORE + path.name, Resource.from_contents(json.loads(path.read_text()), DRAFT4))
        for path in SCHEMAS.glob("azure-iot-*.json")
    ]
    return Registry().with_resources(resources)


def validator(name: str) -> Validator:
    schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return validator_for(schema, default=Draft4Validator)(schema, registry=registry())


def faults(name: str, document: dict[str, Any]) -> Iterator[str]:
    """Path and message of each fault."""
    errors: Iterator[ValidationError] = validator(name).iter_errors(document)
    for error in errors:
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


def test_the_template_is_a_template() -> None:
    assert list(faults("azure-iot-edge-deployment-template-3.0.json", template())) == []


def test_the_final_manifest_is_a_manifest() -> None:
    assert list(faults("azure-iot-edge-deployment-2.0.json", final())) == []


@pytest.mark.parametrize(
    ("schema", "module"),
    [
        ("azcli-azure-iot-edgeagent-deployment-1.1.json", "$edgeAgent"),
        ("azcli-azure-iot-edgehub-deployment-1.1.json", "$edgeHub"),
    ],
)
def test_the_azure_cli_takes_it(schema: str, module: str) -> None:
    assert list(faults(schema, {module: final()["modulesContent"][module]})) == []


def test_a_wrong_manifest_is_refused_with_the_path_of_its_fault() -> None:
    wrong = template()
    own(wrong)["restartPolicy"] = "sometimes"
    found = list(faults("azure-iot-edge-deployment-template-3.0.json", wrong))
    assert any("modules.visionedge.restartPolicy" in fault for fault in found)


def test_a_wrong_route_is_refused_with_the_path_of_its_fault() -> None:
    wrong = template()["modulesContent"]
    wrong["$edgeHub"]["properties.desired"]["routes"]["escalation"]["priority"] = 10
    found = list(
        faults("azcli-azure-iot-edgehub-deployment-1.1.json", {"$edgeHub": wrong["$edgeHub"]})
    )
    assert any("routes.escalation" in fault for fault in found)


def test_create_options_that_are_no_string_are_refused_by_the_azure_cli() -> None:
    agent = {"$edgeAgent": template()["modulesContent"]["$edgeAgent"]}
    assert list(faults("azcli-azure-iot-edgeagent-deployment-1.1.json", agent))
