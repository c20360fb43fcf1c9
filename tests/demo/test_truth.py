"""The soak's verdict: a twin or a ledger that does not tell the truth is found out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient, MethodResponse
from tests.support.envelopes import envelope

from demo.truth import ledger_faults, twin_faults
from devhub import DevHub
from visionedge.entities import Kind
from visionedge.metrics import Metrics
from visionedge.uplink.spool import Spool

STATUS: dict[str, Any] = {
    "settings_revision": 7,
    "cameras": {"line-1": "running"},
    "link": "online",
    "spool": {"unanswered": 0},
    "stuck": [],
}
FACTS: dict[str, Any] = {
    "module": {"settings_revision": 7},
    "camera": {"states": {"line-1": "running"}},
    "connectivity": {"state": "online"},
}
IN_USE = {"decision": {"accept": 0.7, "margin": 0.1}}
Speak = Callable[..., None]


@pytest.fixture
def speak(devhub: DevHub) -> Iterator[Speak]:
    """A module that reports and answers what a test tells it to."""
    client: Any = IoTHubModuleClient.create_from_edge_environment()

    def speak(reported: dict[str, Any], status: dict[str, Any] = STATUS) -> None:
        answers = {"status": status, "diagnostics": {"settings": IN_USE}}
        client.on_method_request_received = lambda request: client.send_method_response(
            MethodResponse.create_from_method_request(request, 200, answers[request.name])
        )
        client.patch_twin_reported_properties(reported)

    yield speak
    client.shutdown()


def answered(version: int, **values: object) -> dict[str, Any]:
    return {**FACTS, "decision": {"value": values, "ac": 200, "av": version}}


def test_a_truthful_twin_has_no_fault(devhub: DevHub, speak: Speak) -> None:
    version = devhub.patch_desired({"decision": {"accept": 0.7}})
    speak(answered(version, accept=0.7))
    assert twin_faults(devhub, version) == []


@pytest.mark.parametrize(
    ("reported", "status", "reason"),
    [
        (answered(1, accept=0.7), STATUS, "the twin says of decision"),
        (answered(2, accept=0.9), STATUS, "the twin says decision.accept is 0.9, it is not"),
        (answered(2, accept=0.7), {**STATUS, "settings_revision": 8}, "says settings_revision"),
        (answered(2, accept=0.7), {**STATUS, "cameras": {}}, "says camera states"),
        (answered(2, accept=0.7), {**STATUS, "link": "offline"}, "says link is online"),
        (answered(2, accept=0.7), {**STATUS, "stuck": ["sender"]}, "stuck ['sender']"),
        (answered(2, accept=0.7), {**STATUS, "spool": {"unanswered": 3}}, "'unanswered': 3"),
    ],
)
def test_a_twin_that_does_not_tell_the_truth_is_found_out(
    devhub: DevHub, speak: Speak, reported: dict[str, Any], status: dict[str, Any], reason: str
) -> None:
    version = devhub.patch_desired({"decision": {"accept": 0.7}})
    speak(reported, status)
    (fault,) = twin_faults(devhub, version)
    assert reason in fault


def test_a_module_that_does_not_answer_is_found_out(devhub: DevHub) -> None:
    (fault,) = twin_faults(devhub, 1)
    assert fault.startswith("the module does not answer")


def test_a_ledger_says_what_the_hub_has(devhub: DevHub, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", max_bytes=10**6, max_age_s=10**6, metrics=Metrics())
    spool.put(envelope(Kind.TELEMETRY, id="sent"))
    spool.put(envelope(Kind.TELEMETRY, id="kept"))
    spool.close()
    assert ledger_faults(devhub, tmp_path / "spool.db") == []
    spool = Spool(tmp_path / "spool.db", max_bytes=10**6, max_age_s=10**6, metrics=Metrics())
    spool.mark_sent("sent")
    spool.close()
    (fault,) = ledger_faults(devhub, tmp_path / "spool.db")
    assert fault == "telemetry: the hub has 0, fewer than the ledger says"
