"""The whole loop: line, module, hub, verifier, a Vision API with faults, and back, merged once.

All of it is real but the Vision API, which is a stub that fails first, and the event hub between
hub and worker, which is a queue that hands each message in twice, as at-least-once may.
"""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.hub_rest import ServiceSide, service_side
from tests.support.running import busy_line, running, wait_until
from tests.support.vision_stub import Reply, Stub, serving

from devhub import DevHub, DeviceMessage
from verifier.admit import Meta
from verifier.asking import Asking
from verifier.backends.custom_vision import CustomVision
from verifier.budget import Budget
from verifier.build import Built
from verifier.cache import Cache
from verifier.clock import SystemClock
from verifier.core import ANY_MODEL, Core, Route
from verifier.courier import Courier
from verifier.dead_letters import DeadLetters
from verifier.hosts.worker import Worker
from verifier.http import Service
from verifier.ledger import Ledger
from verifier.opinion import Want
from verifier.reply.iot_hub import IotHubReply
from verifier.stores.sqlite import SqliteStore

pytestmark = pytest.mark.timeout(120)

SEEN = {
    "iteration": "7",
    "predictions": [
        {
            "tagName": "short",
            "probability": 0.9,
            "boundingBox": {"left": 0.4, "top": 0.4, "width": 0.2, "height": 0.2},
        }
    ],
}
FAULTS = (
    Reply(429, {}, {"Retry-After": "0"}),
    Reply(500),
    Reply(200, b"<html>overrun</html>"),
    Reply(503, {}, {"Retry-After": "0"}),
)


@dataclass
class Cloud:
    """A worker on a file ledger, fed by a queue."""

    store: SqliteStore
    vision: Stub
    side: ServiceSide
    seen: set[str] = field(default_factory=set)

    def states(self) -> dict[str, str]:
        """What the ledger says of each escalation."""
        found = {}
        for key in self.store.keys("ledger/"):
            stored = self.store.read(key)
            assert stored
            entry = json.loads(stored.value)
            found[entry["escalation_id"]] = entry["state"]
        return found


def worker_of(store: SqliteStore, vision: Stub, side: ServiceSide) -> Worker:
    clock, stop = SystemClock(), threading.Event()
    ledger = Ledger(store, clock)
    courier = Courier(ledger, IotHubReply(side.endpoint, dict), clock)
    service = Service(vision.endpoint, dict)
    asking = Asking([CustomVision(service, "here", "p", "i", "detection")], clock, stop)
    budget = Budget(store, clock, per_hub=500, per_device=500)
    core = Core(
        routes={ANY_MODEL: Route(asking, frozenset({Want.OBJECTS}))},
        ledger=ledger,
        budget=budget,
        cache=Cache(store, clock, days=1),
        dead_letters=DeadLetters(store, clock),
        clock=clock,
        on_verified=courier.add,
    )
    return Worker(Built(core, courier, budget, (asking,), stop), threads=2)


@contextmanager
def verifying(hub: DevHub, folder: Path) -> Iterator[Cloud]:
    """The cloud half, from its start to its stop."""
    arrived: queue.SimpleQueue[DeviceMessage | None] = queue.SimpleQueue()
    with serving(*FAULTS, Reply(200, SEEN)) as vision, service_side(hub) as side:
        cloud = Cloud(SqliteStore(folder / "ledger.db"), vision, side)
        worker = worker_of(cloud.store, vision, side)

        def feed() -> None:
            while (message := arrived.get()) is not None:
                cloud.seen.add(message.id or "")
                meta = Meta(hub.device_id, message.module_id)
                worker.take([(message.body, meta)] * 2)

        hub.on_message(lambda m: arrived.put(m) if m.output == "escalation" else None)
        feeder = threading.Thread(target=feed, daemon=True)
        worker.start()
        feeder.start()
        try:
            yield cloud
        finally:
            worker.stop()
            arrived.put(None)
            feeder.join(20)
            worker.join()
            cloud.store.close()


def test_doubts_are_settled_by_a_vision_api_that_fails_first(
    devhub: DevHub, tmp_path: Path
) -> None:
    with verifying(devhub, tmp_path) as cloud:
        with running(busy_line(tmp_path)) as app:
            wait_until(
                lambda: list(cloud.states().values()).count("delivered") >= 5,
                "five escalations delivered",
                timeout_s=60,
            )
            outcomes = app.metrics.counts("visionedge_resolutions_total", "outcome")
        results = cloud.side.results()
        states = cloud.states()
        paid = cloud.vision.requests[len(FAULTS) :]
    assert sum(outcomes.values()) >= 5
    assert {result["status"] for result in results} == {"merged"}
    assert len({result["escalation_id"] for result in results}) == len(results)
    assert set(states) <= cloud.seen
    assert len(paid) <= len(cloud.seen)


@pytest.mark.slow
def test_verdicts_wait_for_a_module_that_is_away(devhub: DevHub, tmp_path: Path) -> None:
    with verifying(devhub, tmp_path) as cloud:
        document = busy_line(tmp_path)
        with running(document):
            devhub.wait(lambda: len(devhub.messages(output="escalation")) >= 2, timeout_s=40)
            devhub.cut()
            wait_until(lambda: 404 in cloud.side.statuses, "a delivery to nobody", timeout_s=40)
            assert "verified" in cloud.states().values()
            devhub.restore()
            wait_until(
                lambda: list(cloud.states().values()).count("delivered") >= 2,
                "verdicts delivered after the outage",
                timeout_s=60,
            )
        assert {result["status"] for result in cloud.side.results()} == {"merged"}
