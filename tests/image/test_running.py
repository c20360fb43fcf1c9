"""The module in its container, with every limit of the manifest, offline."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.image.create_options import limits
from tests.image.podman import AMD64, Container, podman
from tests.support.running import wait_until

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
EDGE_WITHOUT_A_DAEMON = {
    "IOTEDGE_IOTHUBHOSTNAME": "factory.azure-devices.net",
    "IOTEDGE_GATEWAYHOSTNAME": "edgeHub",
    "IOTEDGE_DEVICEID": "line-1",
    "IOTEDGE_MODULEID": "visionedge",
    "IOTEDGE_MODULEGENERATIONID": "1",
    "IOTEDGE_WORKLOADURI": "unix:///var/run/iotedge/workload.sock",
    "IOTEDGE_APIVERSION": "2020-07-07",
    "IOTEDGE_AUTHSCHEME": "sasToken",
}
DOUBTFUL = {
    "VISIONEDGE__CAMERAS__LINE-1__DEFECT_RATE": "6",
    "VISIONEDGE__DECISION__ACCEPT": "1.0",
    "VISIONEDGE__ESCALATION__MIN_INTERVAL_S": "0.2",
}


def variables(**values: str) -> list[str]:
    """The flags that set environment variables."""
    return [f"--env={name}={value}" for name, value in values.items()]


def test_the_line_runs_offline_and_keeps_its_doubts(flags: list[str], data: Path) -> None:
    environment = variables(**EDGE_WITHOUT_A_DAEMON, **DOUBTFUL)
    with Container(AMD64, [*flags, *environment]) as module:
        wait_until(
            lambda: module.count("visionedge_frames_processed_total") > 50,
            "50 frames decided on",
            60,
        )
        wait_until(lambda: module.count("visionedge_spool_messages") > 2, "doubts in the spool", 60)
        assert module.healthy()
        assert module.count("visionedge_link_up") == 0
        began = time.monotonic()
        podman("stop", module.name)
        assert module.state()["ExitCode"] == 0
        assert time.monotonic() - began < 15
    assert (data / "spool.db").stat().st_size > 10_000


def test_it_ends_with_0_within_its_grace_time_when_told_to(flags: list[str]) -> None:
    with Container(AMD64, flags) as module:
        wait_until(lambda: module.count("visionedge_frames_processed_total") > 5, "frames", 60)
        podman("kill", "--signal=TERM", module.name)
        assert module.wait(timeout_s=10) == 0
        assert "visionedge stops" in module.log()


def test_a_memory_limit_that_is_too_low_ends_it_with_137(
    options: dict[str, Any], data: Path
) -> None:
    options["HostConfig"] |= {"Memory": 32 * 1024**2, "MemorySwap": 32 * 1024**2}
    with Container(AMD64, ["--network=none", *limits(options, data)]) as module:
        assert module.wait(timeout_s=60) == 137


def test_a_setting_that_is_wrong_ends_it_with_2_and_names_the_field(flags: list[str]) -> None:
    wrong = variables(VISIONEDGE__DECISION__ACCEPT="1.5")
    with Container(AMD64, [*flags, *wrong]) as module:
        assert module.wait(timeout_s=60) == 2
        assert "decision.accept" in module.log()


def test_the_health_check_sees_a_process_that_hangs_and_one_that_is_back(
    options: dict[str, Any], data: Path
) -> None:
    options["Healthcheck"] |= {"StartPeriod": 0, "Timeout": 5 * 10**9}
    with Container(AMD64, ["--network=none", *limits(options, data)]) as module:
        wait_until(module.healthy, "healthy", 60)
        assert module.health() == "healthy"
        pid = module.python_pid()
        os.kill(pid, signal.SIGSTOP)
        for _ in range(options["Healthcheck"]["Retries"]):
            assert not module.healthy()
        assert module.health() == "unhealthy"
        os.kill(pid, signal.SIGCONT)
        wait_until(module.healthy, "healthy again", 30)
        assert module.health() == "healthy"
