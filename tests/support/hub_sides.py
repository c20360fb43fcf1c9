"""The cloud's side of every kind of hub, behind one face, for the conformance suite."""

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.support.hub_fake import FakeHub

from devhub import DevHub
from visionedge.metrics import Metrics
from visionedge.uplink import azure_hub
from visionedge.uplink.hub import HubClient, HubEvent
from visionedge.uplink.local_hub import LocalHub
from visionedge.uplink.supervisor import Patience

WAIT_S = 20.0
POLL_S = 0.02


@dataclass(frozen=True)
class Received:
    """One message as the cloud got it."""

    id: str
    kind: str
    body: bytes
    properties: Mapping[str, str]


class Events:
    """What a hub told its module. Safe for all threads."""

    def __init__(self) -> None:
        self.seen: list[HubEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: HubEvent) -> None:
        with self._changed:
            self.seen.append(event)
            self._changed.notify_all()

    def wait(self, wanted: Callable[[HubEvent], bool], timeout_s: float = WAIT_S) -> HubEvent:
        """The first event that fits, past or to come."""

        def found() -> HubEvent | None:
            return next((event for event in self.seen if wanted(event)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None, timeout_s)
            event = found()
        assert event is not None, f"it did not come in {timeout_s} s; there were {self.seen}"
        return event


class CloudSide(Protocol):
    """What the cloud can do and see."""

    @property
    def client(self) -> HubClient:
        """The module's side, not started."""

    def received(self) -> list[Received]:
        """Messages, oldest first."""

    def reported(self) -> dict[str, Any]:
        """The reported twin."""

    def change_desired(self, changes: dict[str, Any]) -> None:
        """Merge into the desired twin."""

    def deliver_verdicts(self, verdicts: list[dict[str, Any]]) -> Callable[[], bool]:
        """Call applyVerdict without waiting; the result tells whether it was taken."""

    def cut(self) -> None:
        """Nothing can be sent from now on."""

    def restore(self) -> None:
        """It can again."""

    def wait(self, predicate: Callable[[], bool]) -> bool:
        """True once it holds."""

    def close(self) -> None:
        """End everything."""


def eventually(predicate: Callable[[], bool], timeout_s: float = WAIT_S) -> bool:
    """Look again and again, for what cannot ring a bell."""
    moment = threading.Event()
    for _ in range(round(timeout_s / POLL_S)):
        if predicate():
            return True
        moment.wait(POLL_S)
    return predicate()


class Later:
    """A call in a thread of its own, and its result."""

    def __init__(self, call: Callable[[], bool]) -> None:
        self._result: bool | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], bool]) -> None:
        self._result = call()

    def __call__(self) -> bool:
        self._thread.join(WAIT_S)
        assert self._result is not None, "the call did not end"
        return self._result


class FakeSide:
    """The hub in memory."""

    def __init__(self) -> None:
        self._hub = FakeHub()

    @property
    def client(self) -> HubClient:
        return self._hub

    def received(self) -> list[Received]:
        return [Received(e.id, str(e.kind), e.body, dict(e.properties)) for e in self._hub.received]

    def reported(self) -> dict[str, Any]:
        return self._hub.reported

    def change_desired(self, changes: dict[str, Any]) -> None:
        self._hub.patch_desired(changes)

    def deliver_verdicts(self, verdicts: list[dict[str, Any]]) -> Callable[[], bool]:
        return Later(lambda: self._hub.invoke("applyVerdict", {"verdicts": verdicts}).status == 200)

    def cut(self) -> None:
        self._hub.cut()

    def restore(self) -> None:
        self._hub.restore()

    def wait(self, predicate: Callable[[], bool]) -> bool:
        return self._hub.wait(predicate, WAIT_S)

    def close(self) -> None:
        self._hub.close(1)


class AzureSide:
    """The real SDK against the loopback hub."""

    def __init__(self, devhub: DevHub) -> None:
        self._devhub = devhub
        patience = Patience(first_pause_s=0.05, most_pause_s=0.2)
        self._client = azure_hub.build(
            Metrics(),
            deadlines=azure_hub.Deadlines(send_s=2),
            patience=patience,
            retry_interval_s=1,
        )

    @property
    def client(self) -> HubClient:
        return self._client

    def received(self) -> list[Received]:
        return [
            Received(m.id, m.output, m.body, dict(m.properties)) for m in self._devhub.messages()
        ]

    def reported(self) -> dict[str, Any]:
        return dict(self._devhub.reported)

    def change_desired(self, changes: dict[str, Any]) -> None:
        self._devhub.patch_desired(changes)

    def deliver_verdicts(self, verdicts: list[dict[str, Any]]) -> Callable[[], bool]:
        def call() -> bool:
            answer = self._devhub.invoke_method("applyVerdict", {"verdicts": verdicts}, WAIT_S)
            return answer.status == 200

        return Later(call)

    def cut(self) -> None:
        self._devhub.cut()

    def restore(self) -> None:
        self._devhub.restore()

    def wait(self, predicate: Callable[[], bool]) -> bool:
        self._devhub.wait(predicate, WAIT_S)
        return True

    def close(self) -> None:
        self._client.close(WAIT_S)


class LocalSide:
    """A folder, and whoever writes into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = LocalHub(folder, Metrics(), poll_s=POLL_S)
        self._sent = 0

    @property
    def client(self) -> HubClient:
        return self._client

    def received(self) -> list[Received]:
        found = []
        for path in sorted(self._folder.glob("*.jsonl")):
            for line in path.read_text().splitlines():
                message = json.loads(line)
                body = json.dumps(message["body"]).encode()
                kind = path.name.partition("-")[0]
                found.append(Received(message["id"], kind, body, message["properties"]))
        return found

    def reported(self) -> dict[str, Any]:
        path = self._folder / "reported.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def change_desired(self, changes: dict[str, Any]) -> None:
        path = self._folder / "desired.json"
        self._folder.mkdir(exist_ok=True)
        before = json.loads(path.read_text()) if path.exists() else {}
        whole = path.with_suffix(".new")
        whole.write_text(json.dumps({**before, **changes}))
        whole.replace(path)

    def deliver_verdicts(self, verdicts: list[dict[str, Any]]) -> Callable[[], bool]:
        self._sent += 1
        name = f"{self._sent}.json"
        drop = self._folder / "verdicts"
        drop.mkdir(parents=True, exist_ok=True)
        (drop / "new").write_text(json.dumps({"verdicts": verdicts}))
        (drop / "new").replace(drop / name)

        def taken() -> bool:
            done, refused = drop / "done" / name, drop / "refused" / name
            assert eventually(lambda: done.exists() or refused.exists())
            return done.exists()

        return taken

    def cut(self) -> None:
        aside = self._folder.with_name("aside")
        if self._folder.exists():
            self._folder.rename(aside)
        self._folder.write_text("a file where the folder should be")

    def restore(self) -> None:
        self._folder.unlink()
        aside = self._folder.with_name("aside")
        if aside.exists():
            aside.rename(self._folder)

    def wait(self, predicate: Callable[[], bool]) -> bool:
        return eventually(predicate)

    def close(self) -> None:
        self._client.close(WAIT_S)
        shutil.rmtree(self._folder, ignore_errors=True)
