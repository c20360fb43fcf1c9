"""What each template under deploy/ adds to the main one, and that it adds nothing else."""

from typing import Any

import pytest
from tests.deployment.dockerfile import ROOT
from tests.deployment.manifest import own, template

from visionedge.deployment.differences import differences
from visionedge.deployment.placeholders import read_json
from visionedge.entities import Kind
from visionedge.inputs import INPUT
from visionedge.settings import InputCamera, StreamCamera, UsbCamera, resolve
from visionedge.settings.secrets import reveal

CAMERAS = "modulesContent.visionedge.properties.desired.cameras."


def deployed(name: str) -> dict[str, Any]:
    return read_json(ROOT / f"deploy/{name}.template.json")


def desired(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["modulesContent"]["visionedge"]["properties.desired"]
    return found


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("rtsp", [".visionedge.env.CAMERA_USER", ".visionedge.env.CAMERA_PASSWORD"]),
        ("usb", ["HostConfig.Devices", "HostConfig.GroupAdd"]),
        ("input", [".modules.grabber", ".routes.frames", ".routes.predictions"]),
    ],
)
def test_a_kind_of_camera_changes_only_what_it_needs(name: str, places: list[str]) -> None:
    lines = differences(template(), deployed(name))
    changed = {line[2:].split(": ")[0] for line in lines}
    assert changed
    for path in changed:
        assert path.startswith(CAMERAS) or any(place in path for place in places), path


def test_the_camera_s_password_is_in_the_environment_and_not_in_the_twin() -> None:
    document = deployed("rtsp")
    camera = resolve([desired(document)]).cameras["line-1"]
    assert isinstance(camera, StreamCamera)
    assert own(document)["env"]["CAMERA_PASSWORD"] == {"value": "${CAMERA_PASSWORD}"}
    given = {"CAMERA_USER": "viewer", "CAMERA_PASSWORD": "hunter2"}
    address = camera.url.replace("${CAMERA_HOST}", "10.0.0.5").replace("${CAMERA_PATH}", "live")
    assert reveal(address, given) == "rtsp://viewer:hunter2@10.0.0.5/live"


def test_a_usb_camera_is_handed_in_alone_and_where_the_settings_look_for_it() -> None:
    document = deployed("usb")
    host = own(document)["settings"]["createOptions"]["HostConfig"]
    [device] = host["Devices"]
    camera = resolve([desired(document)]).cameras["line-1"]
    assert isinstance(camera, UsbCamera)
    assert camera.device == device["PathInContainer"]
    assert host["GroupAdd"] == ["${VIDEO_GROUP}"]
    assert "Privileged" not in host
    assert "CapAdd" not in host


def test_frames_of_another_module_have_a_way_in_and_their_answers_a_way_back() -> None:
    document = deployed("input")
    routes = document["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]
    assert routes["frames"]["route"] == (
        f"FROM /messages/modules/grabber/outputs/{INPUT} "
        f'INTO BrokeredEndpoint("/modules/visionedge/inputs/{INPUT}")'
    )
    assert routes["predictions"]["route"] == (
        f"FROM /messages/modules/visionedge/outputs/{Kind.PREDICTIONS} "
        f'INTO BrokeredEndpoint("/modules/grabber/inputs/{Kind.PREDICTIONS}")'
    )
    assert isinstance(resolve([desired(document)]).cameras["line-1"], InputCamera)


def test_the_layer_is_the_module_its_routes_and_its_twin() -> None:
    contents = deployed("layers/visionedge")["modulesContent"]
    main = template()["modulesContent"]
    assert contents["$edgeAgent"] == {
        "properties.desired.modules.visionedge": own(template()),
    }
    routes = main["$edgeHub"]["properties.desired"]["routes"]
    assert contents["$edgeHub"] == {
        f"properties.desired.routes.visionedge-{name}": route for name, route in routes.items()
    }
    assert contents["visionedge"] == main["visionedge"]


def test_the_collector_reads_every_module_and_has_a_way_to_the_cloud() -> None:
    contents = deployed("layers/metrics")["modulesContent"]
    module = contents["$edgeAgent"]["properties.desired.modules.metrics"]
    endpoints = module["env"]["MetricsEndpointsCSV"]["value"].split(",")
    port = resolve([]).http.port
    assert endpoints == [
        f"http://{name}:{port}/metrics" for name in ("edgeHub", "edgeAgent", "visionedge")
    ]
    route = contents["$edgeHub"]["properties.desired.routes.metrics"]
    assert route["route"] == "FROM /messages/modules/metrics/* INTO $upstream"
    log = module["settings"]["createOptions"]["HostConfig"]["LogConfig"]["Config"]
    assert {"max-size", "max-file"} <= set(log)
