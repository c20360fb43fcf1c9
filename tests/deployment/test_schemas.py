"""Templates, layers and manifests against the public schemas, where they lie beside the project."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.deployment.dockerfile import ROOT
from tests.deployment.manifest import SCHEMAS, own, template

from visionedge.deployment.limits import faults as limit_faults
from visionedge.deployment.manifest import (
    image_references,
    is_layered,
    layered_onto,
    rendered,
)
from visionedge.deployment.placeholders import read_json
from visionedge.deployment.schemas import faults
from visionedge.errors import SettingsError

pytestmark = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="no schemas in ../shared/schemas")
MAIN = ROOT / "deployment.template.json"
TEMPLATES = sorted([MAIN, *ROOT.glob("deploy/**/*.template.json")])
VALUES = {
    "CONTAINER_REGISTRY_ADDRESS": "registry.example",
    "CONTAINER_REGISTRY_USERNAME": "puller",
    "CONTAINER_REGISTRY_PASSWORD": "secret",
    "CAMERA_USER": "viewer",
    "CAMERA_PASSWORD": "secret",
    "CAMERA_HOST": "10.0.0.5",
    "CAMERA_PATH": "live",
    "CAMERA_DEVICE": "/dev/video0",
    "GRABBER_IMAGE": "registry.example/grabber:1",
    "VIDEO_GROUP": "44",
    "IOTHUB_RESOURCE_ID": "/subscriptions/x/resourceGroups/y/providers/Microsoft.Devices/IotHubs/z",
}


def final(path: Path) -> dict[str, Any]:
    """The manifest that a template becomes; a layer as a device sees it, on the main one."""
    manifest = rendered(read_json(path), VALUES, image_references(path, "amd64"))
    return layered_onto(final(MAIN), manifest) if is_layered(manifest) else manifest


def described(path: Path) -> dict[str, Any]:
    """A template; a layer of one laid onto the main one."""
    document = read_json(path)
    return layered_onto(read_json(MAIN), document) if is_layered(document) else document


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def test_there_is_a_template_for_each_kind_of_site() -> None:
    assert names(TEMPLATES) == [
        "deploy/input.template.json",
        "deploy/layers/metrics.template.json",
        "deploy/layers/visionedge.template.json",
        "deploy/rtsp.template.json",
        "deploy/usb.template.json",
        "deployment.template.json",
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=names(TEMPLATES))
def test_editors_find_no_fault_in_a_template(path: Path) -> None:
    document = described(path)
    assert read_json(path)["$schema-template"] == "4.0.0"
    assert faults(document, SCHEMAS, template=True) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=names(TEMPLATES))
def test_what_a_template_becomes_is_accepted(path: Path) -> None:
    document = final(path)
    assert faults(document, SCHEMAS, template=False) == []
    assert limit_faults(document) == []


def _status(document: dict[str, Any]) -> None:
    own(document)["restartPolicy"] = "sometimes"


def _priority(document: dict[str, Any]) -> None:
    hub = document["modulesContent"]["$edgeHub"]["properties.desired"]
    hub["routes"]["escalation"]["priority"] = 10


def _variable(document: dict[str, Any]) -> None:
    own(document)["env"]["VISIONEDGE__LOG__LEVEL"] = "DEBUG"


def _version(document: dict[str, Any]) -> None:
    document["modulesContent"]["$edgeHub"]["properties.desired"]["schemaVersion"] = "1.9"


def _options(document: dict[str, Any]) -> None:
    own(document)["settings"]["createOptions"] = 7


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (_status, "modules.visionedge.restartPolicy"),
        (_priority, "routes.escalation.priority"),
        (_variable, "modules.visionedge.env.VISIONEDGE__LOG__LEVEL"),
        (_options, "modules.visionedge.settings.createOptions"),
    ],
)
@pytest.mark.parametrize("as_template", [True, False], ids=["template", "final"])
def test_a_fault_is_told_with_its_path(
    spoil: Callable[[dict[str, Any]], None], place: str, as_template: bool
) -> None:
    wrong = template() if as_template else final(MAIN)
    spoil(wrong)
    found = faults(wrong, SCHEMAS, template=as_template)
    assert any(f"{place}: " in fault for fault in found), found


def test_a_version_that_no_schema_describes_is_told() -> None:
    wrong = final(MAIN)
    _version(wrong)
    with pytest.raises(SettingsError, match=r"no schema .*edgehub-deployment-1\.9"):
        faults(wrong, SCHEMAS, template=False)


def test_create_options_that_are_no_text_are_refused_by_the_azure_cli() -> None:
    wrong = final(MAIN)
    own(wrong)["settings"]["createOptions"] = {"User": "0"}
    found = faults(wrong, SCHEMAS, template=False)
    assert any(fault.startswith("azcli-") and "createOptions" in fault for fault in found)
