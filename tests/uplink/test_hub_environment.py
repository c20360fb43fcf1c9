"""What the environment says of the hub: what can never be used is refused, and named."""

import logging
from pathlib import Path

import pytest
from tests.support.running import wait_until

from visionedge.errors import SettingsError
from visionedge.metrics import Metrics
from visionedge.settings import UplinkSettings
from visionedge.uplink.environment import DEVELOPMENT_VARIABLES, EDGE_VARIABLES
from visionedge.uplink.hub import HubClient
from visionedge.uplink.registry import choose

WHOLE = "HostName=127.0.0.1;DeviceId=d;ModuleId=m;SharedAccessKey=c2VjcmV0"
PLAIN = "IOTHUB_MODULE_CONNECTION_STRING"
EDGE = dict.fromkeys(EDGE_VARIABLES, "x") | {"IOTEDGE_WORKLOADURI": "unix:///run/w.sock"}


def chosen(environment: dict[str, str]) -> HubClient:
    return choose(UplinkSettings(), environment, Metrics(), lambda _: None)


@pytest.mark.parametrize("variable", [PLAIN, DEVELOPMENT_VARIABLES[0]])
@pytest.mark.parametrize(
    ("more", "why"),
    [
        (";c2VjcmV0", "part 5"),
        (";Color=c2VjcmV0", "part 5"),
        (";GatewayHostName=", "part 5"),
        (";DeviceId=d", "twice"),
    ],
)
def test_a_connection_string_that_the_sdk_cannot_read_ends_the_start_and_is_not_repeated(
    variable: str, more: str, why: str
) -> None:
    with pytest.raises(SettingsError, match=f"{variable} .*{why}") as caught:
        chosen({variable: WHOLE + more, DEVELOPMENT_VARIABLES[1]: "/ca.pem"})
    assert "c2VjcmV0" not in f"{caught.value} {caught.value.fields}"


@pytest.mark.parametrize("more", ["", ";", ";GatewayHostName=edge.local", "\n"])
def test_a_whole_connection_string_is_taken(more: str) -> None:
    assert chosen({PLAIN: WHOLE + more}).workers[0].name == "uplink"


@pytest.mark.parametrize("name", EDGE_VARIABLES)
def test_a_variable_of_iot_edge_that_is_empty_is_named(name: str) -> None:
    assert chosen(EDGE).workers[0].name == "uplink"
    with pytest.raises(SettingsError, match=f"{name} of the environment is empty"):
        chosen(EDGE | {name: ""})


def test_an_address_of_the_workload_api_that_nobody_can_open_is_named() -> None:
    with pytest.raises(SettingsError, match="IOTEDGE_WORKLOADURI begins with none of unix://"):
        chosen(EDGE | {"IOTEDGE_WORKLOADURI": "/run/w.sock"})


def test_an_authority_that_is_not_there_is_named_once_with_its_mend(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    hub = chosen({PLAIN: WHOLE, "EdgeModuleCACertificateFile": str(tmp_path / "ca.pem")})
    hub.start(lambda _: None)
    wait_until(lambda: bool(caplog.messages), "a word of it")
    hub.close(5)
    said = " ".join(caplog.messages)
    assert "ca.pem" in said
    assert said.count("EdgeModuleCACertificateFile names it") == 1
    assert "socket" not in said
