"""Routes that edgeHub does not read, and routes that no message takes."""

from typing import Any

import pytest
from tests.deployment.dockerfile import ROOT

from visionedge.deployment.limits import faults as faults_of_manifest
from visionedge.deployment.placeholders import read_json
from visionedge.deployment.routes import INPUT, faults, takes
from visionedge.inputs import INPUT as THE_INPUT

MODULES = ("visionedge", "grabber")
OURS = "/messages/modules/visionedge/outputs"


def told(route: str) -> str:
    return "; ".join(faults("routes", {"a": route}, MODULES, "visionedge"))


def deployed(name: str = "deployment") -> dict[str, Any]:
    return read_json(ROOT / f"{name}.template.json")


def section(document: dict[str, Any], module: str) -> dict[str, Any]:
    found: dict[str, Any] = document["modulesContent"][module]["properties.desired"]
    return found


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("", "is no route; write `FROM "),
        ("FRM /messages/* INTO $upstream", "is no route; write `FROM "),
        ("FROM /messages/*", "is no route"),
        ("FROM messages/* INTO $upstream", "is no route"),
        ("FROM /messages/* WHERE INTO $upstream", "is no route"),
        ("FROM /messages/* INTO $upstrem", "`$upstrem` is nowhere; write `$upstream`"),
        ("FROM /messages/* INTO BrokeredEndpoint(/modules/grabber/inputs/a)", "is nowhere"),
        ('FROM /* INTO BrokeredEndpoint("/modules/grabber")', "is nowhere"),
        ('FROM /* INTO BrokeredEndpoint("/modules/nobody/inputs/a")', "no module `nobody`"),
        ('FROM /* INTO BrokeredEndpoint("/modules/visionedge/inputs/frame")', "no input `frame`"),
        ("FROM /message/* INTO $upstream", "no message comes from `/message`"),
        ("FROM /messages/module/visionedge/* INTO $upstream", "no message comes from"),
        ("FROM /messages/modules/visionedge/output/health INTO $upstream", "no message comes"),
        ("FROM /messages/modules/visonedge/* INTO $upstream", "no module `visonedge`"),
        (f"FROM {OURS}/telemtry INTO $upstream", "no output `telemtry`; it has escalation, "),
    ],
)
def test_a_route_that_gets_nowhere_is_told(route: str, reason: str) -> None:
    assert told(route).startswith("routes.a: ")
    assert reason in told(route)


@pytest.mark.parametrize(
    "route",
    [
        "FROM /* INTO $upstream",
        "from /messages/* into $UPSTREAM",
        "SELECT * FROM /messages/modules/* INTO $upstream",
        "FROM /twinChangeNotifications INTO $upstream",
        "FROM /* WHERE NOT IS_DEFINED($connectionModuleId) INTO $upstream",
        f"FROM {OURS}/* WHERE text = ' INTO ' INTO $upstream",
        f"FROM {OURS}/predictions INTO BrokeredEndpoint('/modules/grabber/inputs/any')",
        "FROM /messages/modules/grabber/outputs/any INTO "
        'BrokeredEndpoint("/modules/visionedge/inputs/frames")',
    ],
)
def test_a_route_that_edgehub_takes_is_taken(route: str) -> None:
    assert told(route) == ""


def test_the_input_is_the_one_that_the_module_has() -> None:
    assert INPUT == THE_INPUT


@pytest.mark.parametrize(
    ("route", "taken"),
    [
        ("FROM /* INTO $upstream", True),
        ("FROM /messages/modules/visionedge/* INTO $upstream", True),
        (f"FROM {OURS}/escalation INTO BrokeredEndpoint('/modules/grabber/inputs/a')", True),
        (f"FROM {OURS}/health INTO $upstream", False),
        (f"FRM {OURS}/escalation INTO $upstream", False),
    ],
)
def test_what_takes_an_output_is_known(route: str, taken: bool) -> None:
    assert takes({"a": {"route": route}}, "visionedge", "escalation") is taken


def test_doubts_without_a_way_up_are_told() -> None:
    document = deployed()
    del section(document, "$edgeHub")["routes"]["escalation"]
    [fault] = faults_of_manifest(document)
    assert "routes: none takes the output `escalation` of `visionedge`" in fault


@pytest.mark.parametrize(
    "settings",
    [
        {"escalation": {"enabled": False}},
        {"uplink": {"kind": "local"}},
        {"direct": {"enabled": True, "route": {"backend": "any"}}},
    ],
)
def test_who_does_not_ask_the_hub_needs_no_way_up(settings: dict[str, Any]) -> None:
    document = deployed()
    section(document, "visionedge").update(settings)
    del section(document, "$edgeHub")["routes"]["escalation"]
    assert faults_of_manifest(document) == []
    other = deployed()
    section(other, "$edgeHub")["routes"].clear()
    modules = section(other, "$edgeAgent")["modules"]
    modules["another"] = modules.pop("visionedge")
    assert faults_of_manifest(other) == []


@pytest.mark.parametrize("name", ["deployment", "deploy/rtsp", "deploy/usb", "deploy/input"])
def test_our_own_routes_have_no_fault(name: str) -> None:
    assert [each for each in faults_of_manifest(deployed(name)) if ".routes" in each] == []
