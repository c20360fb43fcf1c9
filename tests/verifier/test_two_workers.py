"""Two workers as they are deployed, one killed with -9 in mid-batch: the other takes over.

Real processes of the `verifier` command, Azure's SDKs, partitions, checkpoints and a ledger in
blob storage, TLS throughout. Played are the Vision API, which holds its answers until the kill,
and the module, which takes every verdict.
"""

import hashlib
import json
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.cloud import body, escalation, jpeg
from tests.support.event_hub import event_hub, until

from devhub.https import Answer, HttpsServer, Request
from devhub.listener import AddressClaim
from eventhub.log import Event
from loop.journal import Journal
from loop.storage import Storage, StorageAbsent, find_azurite
from loop.vision import picture_of
from loop.workers import THREADS, Cloud, VerifierRun

if TYPE_CHECKING:
    from eventhub.server import EventHub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
COUNT = 24
SCHEMA = {"schema": "escalation/1"}
STAMPED = {
    "iothub-connection-device-id": "line-1",
    "iothub-connection-module-id": "visionedge",
}
SEEN = {
    "iteration": "7",
    "predictions": [
        {
            "tagName": "laptop",
            "probability": 0.9,
            "boundingBox": {"left": 0.1, "top": 0.1, "width": 0.4, "height": 0.4},
        }
    ],
}
TAKEN = {"status": 200, "payload": {"results": []}}


@dataclass(eq=False)
class Vision:
    """Answers when it is not held, and remembers who asked about what."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    waiting: Counter[str] = field(default_factory=Counter)
    going: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> Answer:
        key = request.headers["prediction-key"]
        picture = hashlib.sha256(picture_of(request.body)).hexdigest()
        with self.lock:
            self.asked.append((key, picture))
            self.waiting[key] += 1
        self.going.wait(60)
        with self.lock:
            self.waiting[key] -= 1
        return Answer(200, json.dumps(SEEN).encode(), {"Content-Type": "application/json"})


@dataclass(eq=False)
class Module:
    """Takes every verdict."""

    taken: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        verdicts = json.loads(request.body)["payload"]["verdicts"]
        self.taken += [verdict["escalation_id"] for verdict in verdicts]
        return Answer(200, json.dumps(TAKEN).encode(), {"Content-Type": "application/json"})


@dataclass(eq=False)
class Site:
    """What the workers are pointed at."""

    folder: Path
    hub: "EventHub"
    storage: Storage
    cloud: Cloud
    vision: Vision
    module: Module
    undo: ExitStack

    def worker(self, name: str) -> VerifierRun:
        worker = VerifierRun(name, self.cloud, secrets.token_hex(8), self.folder)
        self.undo.callback(worker.stop)
        return worker

    def states(self) -> dict[str, str]:
        journal = Journal()
        for name in names():
            journal.begin(name, "test", "", {})
        self.storage.read_into(journal)
        return {story.id: story.state for story in journal.stories() if story.state}


def names() -> list[str]:
    return [f"e{n:02}" for n in range(COUNT)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    try:
        azurite = find_azurite(ROOT)
    except StorageAbsent as error:
        pytest.skip(str(error))
    with ExitStack() as undo:
        hub = undo.enter_context(event_hub())
        claim = AddressClaim(None, 8443)
        undo.callback(claim.release)
        ca_file = hub.ca_file
        vision, module = Vision(), Module()
        asked = undo.enter_context(HttpsServer(claim.address, hub.authority, vision.answer))
        told = undo.enter_context(HttpsServer(claim.address, hub.authority, module.answer))
        storage = undo.enter_context(Storage(azurite, claim.address, hub.authority, ca_file))
        undo.callback(vision.going.set)
        hub_string = f"HostName={told.host};SharedAccessKeyName=service;SharedAccessKey=a2V5"
        cloud = Cloud(
            hub.connection_string,
            storage.connection_string,
            hub_string,
            f"https://{asked.host}",
            ca_file,
        )
        yield Site(tmp_path, hub, storage, cloud, vision, module, undo)


def send_all(hub: "EventHub") -> None:
    now = datetime.now(UTC)
    for n, name in enumerate(names()):
        picture = jpeg(64, 64, shade=10 * n)
        image = escalation(picture=picture)["image"] | {"height": 64}
        hub.send(Event(body(name, now=now, image=image), SCHEMA, STAMPED, name))


def test_the_other_worker_takes_over_and_pays_again_only_for_what_was_in_flight(
    site: Site,
) -> None:
    first, second = site.worker("first"), site.worker("second")
    until(lambda: all(site.hub.readers("verifier").values()), "readers of all partitions", 60)
    send_all(site.hub)
    until(lambda: site.vision.waiting[first.vision_key] == THREADS, "the first in mid-batch", 60)
    first.kill()
    before = list(site.vision.asked)
    site.vision.going.set()
    until(
        lambda: list(site.states().values()).count("delivered") == COUNT,
        "every escalation delivered",
        120,
    )
    assert second.poll() is None
    assert site.states() == dict.fromkeys(names(), "delivered")
    assert site.storage.open_cases() == 0
    assert set(site.module.taken) == set(names())
    in_flight = {picture for key, picture in before if key == first.vision_key}
    paid = Counter(picture for _, picture in site.vision.asked)
    again = {picture for picture, count in paid.items() if count > 1}
    assert len(paid) == COUNT
    assert max(paid.values()) <= 2
    assert again <= in_flight
    assert len(again) <= THREADS
    assert second.stop() == 0


def test_a_worker_that_is_stopped_hands_over_and_nothing_is_paid_twice(site: Site) -> None:
    site.vision.going.set()
    first, second = site.worker("first"), site.worker("second")
    until(lambda: all(site.hub.readers("verifier").values()), "readers of all partitions", 60)
    send_all(site.hub)
    until(lambda: site.vision.asked, "the first question", 60)
    assert first.stop() == 0
    until(
        lambda: list(site.states().values()).count("delivered") == COUNT,
        "every escalation delivered",
        120,
    )
    paid = Counter(picture for _, picture in site.vision.asked)
    assert paid.total() == COUNT
    assert second.stop() == 0
