"""The parts of the loop, put together, played, and looked at when it is over."""

import json
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from demo.module import ModuleRun
from demo.oracle import LineOracle
from devhub import DevHub
from devhub.authority import Authority
from devhub.errors import DevHubError
from devhub.opened import Opened
from devhub.routing import Route
from devhub.service import ServiceCall, ServiceSide
from eventhub.server import EventHub
from loop.bridge import Bridge, deployed_condition
from loop.journal import Journal
from loop.report import Run, timeline, totals
from loop.storage import CA_FILE, Storage
from loop.vision import VisionService
from loop.workers import THREADS, Cloud, VerifierRun
from visionedge.settings import PatternCamera

_CAMERA: Final = "line-1"
_LOOK_S: Final = 0.5
_LINE_EVERY_S: Final = 2.0
_START_S: Final = 60.0
_SETTLE_S: Final = 90.0
_IN_MID_BATCH_S: Final = 15.0
_MODULE_STOP_S: Final = 6.0
_INFRA: Final = "cloud/infra/main.bicep"


class Loop(Opened):
    """Everything that runs, from `with` to its end.

    Args:
        azurite: The program.
        root: The project.
        folder: Gets logs, the spool and the settings; empty.
        workers: How many verifiers.
    """

    def __init__(self, azurite: str, root: Path, folder: Path, *, workers: int = 2) -> None:
        self.journal = Journal()
        self.killed = 0
        self._azurite = azurite
        self._root = root
        self._folder = folder
        self._count = workers
        self._quiet_until_s = 0.0

    def _open(self, undo: ExitStack) -> None:
        authority = Authority()
        ca_file = self._folder / CA_FILE
        ca_file.write_text(authority.certificate_pem, encoding="ascii")
        self.hub = undo.enter_context(DevHub())
        address = self.hub.address
        self.storage = undo.enter_context(Storage(self._azurite, address, authority, ca_file))
        self.events = undo.enter_context(EventHub(authority=authority))
        self.vision = VisionService(address, authority, self.journal.charged)
        undo.enter_context(self.vision.server)
        service = undo.enter_context(ServiceSide(self.hub, authority, self._called))
        camera = PatternCamera(fps=15, defect_rate=4)
        route = Route(deployed_condition(self._root / _INFRA))
        oracle = LineOracle(_CAMERA, camera)
        self.bridge = Bridge(route, self.events, self.vision, self.journal, oracle)
        cloud = Cloud(
            self.events.connection_string, self.storage.connection_string,
            service.connection_string, self.vision.endpoint, ca_file,
        )  # fmt: skip
        self.workers = [
            VerifierRun(f"verifier-{n + 1}", cloud, self.vision.issue_key(), self._folder)
            for n in range(self._count)
        ]
        for worker in self.workers:
            undo.callback(worker.stop)
        self.hub.on_message(self.bridge.take)
        self.module = ModuleRun(
            ["--grace", "4"], self._environment(camera), self._folder, status=False
        )
        undo.callback(self.module.stop, _MODULE_STOP_S)

    def play(self, seconds: float, kill_at: float | None, stop: threading.Event) -> int:
        """Let it run, then wait until everything is at its end; returns the exit code."""
        print(f"logs in {self._folder}; the line runs for {seconds:g} s", flush=True)
        self._await_readers(stop)
        began_s = time.monotonic()
        while (ran_s := time.monotonic() - began_s) < seconds and not stop.wait(_LOOK_S):
            self._look(ran_s)
            if kill_at is not None and not self.killed and ran_s >= kill_at:
                self._kill_in_mid_batch()
        self.hub.patch_desired({"escalation": {"enabled": False}})
        until_s = time.monotonic() + _SETTLE_S
        while not self._is_over() and time.monotonic() < until_s:
            self._look(time.monotonic() - began_s)
            if stop.wait(_LOOK_S):
                break
        return self._judge()

    def _await_readers(self, stop: threading.Event) -> None:
        """Return once the workers share the partitions, as after any deployment."""
        until_s = time.monotonic() + _START_S
        while not all(self.events.readers("verifier").values()) and not stop.wait(0.1):
            if time.monotonic() > until_s:
                raise TimeoutError(f"no worker reads the event hub; see {self._folder}")

    def _kill_in_mid_batch(self) -> None:
        """Kill the first worker while it asks about something."""
        worker = self.workers[0]
        until_s = time.monotonic() + _IN_MID_BATCH_S
        while not self.vision.in_hand(worker.vision_key) and time.monotonic() < until_s:
            time.sleep(0.002)
        calls = self.vision.in_hand(worker.vision_key)
        worker.kill()
        self.killed = 1
        self._print(f"--- kill -9 {worker.name}, pid {worker.pid}, with {calls} calls in flight")

    def _look(self, ran_s: float) -> None:
        self.module.poll()
        self.storage.read_into(self.journal)
        stories = self.journal.stories()
        ended = sum(story.is_ended for story in stories)
        alive = sum(worker.poll() is None for worker in self.workers)
        self._print(
            f"{ran_s:5.0f} s  escalated {len(stories)}, ended {ended}, paid {self.vision.paid}, "
            f"faults {self.vision.calls.total() - self.vision.paid}, workers {alive}",
            passing=True,
        )

    def _print(self, line: str, *, passing: bool = False) -> None:
        if sys.stdout.isatty():
            print(f"\x1b[2K{line}", end="\r" if passing else "\n", flush=True)
        elif not passing or time.monotonic() >= self._quiet_until_s:
            self._quiet_until_s = time.monotonic() + _LINE_EVERY_S
            print(line, flush=True)

    def _is_over(self) -> bool:
        if not all(story.is_ended for story in self.journal.stories()):
            return False
        if sum(self.storage.dead_letters().values()) < self.bridge.spoiled:
            return False
        try:
            answer = self.hub.invoke_method("status", {}, 5)
        except DevHubError:
            return False
        return answer.status == 200 and not answer.payload["spool"]["unanswered"]

    def _judge(self) -> int:
        self.module.stop(_MODULE_STOP_S)
        exits = {worker.name: worker.stop() for worker in self.workers[self.killed :]}
        self.storage.read_into(self.journal)
        stories = self.journal.stories()
        unseen = self.hub.ids("escalation").keys() - {story.id for story in stories}
        lost = self.module.summary().get("escalations", {}).get("lost", {})
        run = Run(
            stories,
            self.bridge.spoiled,
            self.storage.dead_letters(),
            self.storage.open_cases(),
            self.vision.calls,
            in_flight=self.killed * THREADS,
            module_lost=sum(lost.values()),
            passed_by=self.bridge.passed_by,
            unseen=len(unseen),
            exits=exits,
        )
        self._print("")
        print(timeline(run.stories), totals(run), sep="\n\n")
        for fault in run.faults:
            print(f"FAULT: {fault}")
        print(f"loop: {'failed' if run.faults else 'all held'}", flush=True)
        return 1 if run.faults else 0

    def _called(self, call: ServiceCall) -> None:
        if call.method != "applyVerdict" or call.status != 200:
            return
        ids = [verdict["escalation_id"] for verdict in call.payload["verdicts"]]
        self.journal.called(ids, call.began_at)
        for result in (call.answer or {}).get("results", []):
            self.journal.answered(result["escalation_id"], result["status"], call.ended_at)

    def _environment(self, camera: PatternCamera) -> dict[str, str]:
        return {
            **self.hub.environment(),
            "VISIONEDGE__SPOOL__PATH": str(self._folder / "spool.db"),
            "VISIONEDGE__EGRESS__PATH": str(self._folder / "egress.jsonl"),
            "VISIONEDGE__TELEMETRY__INTERVAL_S": "2",
            "VISIONEDGE__HTTP__PORT": "0",
            "VISIONEDGE__DECISION__ACCEPT": "1.0",
            "VISIONEDGE__ESCALATION__MIN_INTERVAL_S": "0.3",
            "VISIONEDGE__ESCALATION__VIEW_WAIT_S": "0.3",
            "VISIONEDGE__CAMERAS": json.dumps({_CAMERA: camera.model_dump(mode="json")}),
        }
