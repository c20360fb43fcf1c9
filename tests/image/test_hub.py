"""The module in its container against devhub: the real SDK, TLS, and no network but a loopback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.image.podman import AMD64, Container, podman
from tests.support.running import wait_until

from devhub.control import ask

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
HUB_START_S = 30.0


class Hub:
    """`devhub start` in a network namespace of its own, and the words to talk to it.

    Args:
        folder: short, because a unix socket's path is; for its sockets and its variables.
        process: the hub; containers join its namespace.
    """

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self._socket = folder / "control"
        self._process = process
        variables = (folder / "env").read_text().splitlines()
        self._variables = [line for line in variables if line.startswith("IOTEDGE_")]
        [uri] = [
            v.partition("=")[2] for v in self._variables if v.startswith("IOTEDGE_WORKLOADURI")
        ]
        self._workload = Path(uri.removeprefix("unix://"))
        # As the daemon's socket is: the module is not root, and may use it all the same.
        self._workload.parent.chmod(0o755)
        self._workload.chmod(0o666)

    def flags(self) -> list[str]:
        """What edgeAgent adds to a module: its variables, the workload socket, the network."""
        workload = f"{self._workload}:{self._workload}"
        return [
            f"--network=ns:/proc/{self._process.pid}/ns/net",
            f"--volume={workload}",
            *(f"--env={variable}" for variable in self._variables),
        ]

    def say(self, *words: str) -> str:
        """One word of devhub; its answer."""
        answer = ask(self._socket, list(words))
        assert answer.ok, answer.text
        return answer.text

    def messages(self, output: str) -> list[dict[str, Any]]:
        """What came at an output, newest last."""
        lines = self.say("messages", "--output", output, "-n", "50").splitlines()
        return [json.loads(line) for line in lines]

    def reported(self) -> dict[str, Any]:
        """The reported properties."""
        found: dict[str, Any] = json.loads(self.say("twin"))["reported"]
        return found


@contextmanager
def hub_apart() -> Iterator[Hub]:
    folder = Path(podman("info", "--format={{.Store.RunRoot}}").stdout.strip()) / "hub"
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "devhub", "--control", str(folder / "control"), "start"]
    words += ["--env-file", str(folder / "env"), "--verify", "0.2", "--quiet"]
    isolated = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [*isolated, *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert b"devhub serves" in process.stdout.readline()
        yield Hub(folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(HUB_START_S)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_apart() as hub:
        yield hub


def test_twin_escalations_and_verdicts_pass_through_every_limit_of_the_manifest(
    hub: Hub, flags: list[str]
) -> None:
    hub.say("desired", json.dumps({"decision": {"accept": 1.0}, "telemetry": {"interval_s": 2}}))
    hub.say("desired", json.dumps({"cameras": {"line-1": {"kind": "pattern", "defect_rate": 6}}}))
    limits = [flag for flag in flags if not flag.startswith("--network")]
    with Container(AMD64, [*limits, *hub.flags()]) as module:
        wait_until(lambda: hub.messages("escalation") != [], "an escalation at the hub", 60)
        wait_until(lambda: hub.messages("telemetry") != [], "telemetry at the hub", 60)
        acknowledged = wait_for_acknowledgement(hub)
        assert acknowledged["value"] == 1.0 or acknowledged["value"] == {"accept": 1.0}
        wait_until(
            lambda: module.count("visionedge_resolutions_total") > 0, "a verdict that came back", 60
        )
        status = json.loads(hub.say("call", "status", "{}"))
        assert status["status"] == 200
        hub.say("cut")
        wait_until(lambda: module.count("visionedge_link_up") == 0, "the cut is seen", 60)
        before = module.count("visionedge_frames_processed_total")
        wait_until(
            lambda: module.count("visionedge_frames_processed_total") > before + 20,
            "the line goes on without the hub",
            30,
        )
        hub.say("restore")
        wait_until(lambda: module.count("visionedge_link_up") == 1, "the link is back", 60)
        assert module.healthy()
        podman("stop", module.name)
        assert module.state()["ExitCode"] == 0


def wait_for_acknowledgement(hub: Hub) -> dict[str, Any]:
    """The acknowledgement of `decision`, once it is good."""
    found: dict[str, Any] = {}

    def acknowledged() -> bool:
        found.clear()
        found.update(hub.reported().get("decision") or {})
        return found.get("ac") == 200

    wait_until(acknowledged, "the twin acknowledged with 200", 60)
    return found
