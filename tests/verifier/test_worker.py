"""A worker checkpoints nothing that could be lost, stops when it must, and delivers beside it."""

import threading
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.error import HTTPError

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from tests.support.cloud import (
    LAPTOP,
    META,
    START,
    Cloud,
    PlayedBackend,
    PlayedReply,
    body,
    jpeg,
)

from verifier.admit import Meta
from verifier.build import Built
from verifier.clock import SystemClock
from verifier.core import Kind
from verifier.courier import Courier
from verifier.errors import (
    BackendBusy,
    BackendMisconfigured,
    ReplyForbidden,
    StoreUnavailable,
)
from verifier.hosts.event_hub import body_of, is_escalation, meta_of, on_batch
from verifier.hosts.intake import take
from verifier.hosts.metrics import Metrics, Pages
from verifier.hosts.worker import Worker
from verifier.opinion import Opinion, Picture
from verifier.stores.memory import MemoryStore
from visionedge.wire import Verdict


class Knocking(PlayedReply):
    """A module that says when verdicts have come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
        super().send(device_id, module_id, verdicts)
        self.came.set()


def built_of(cloud: Cloud) -> Built:
    return Built(cloud.core, cloud.courier, cloud.budget, (cloud.asking,), cloud.asking.stop)


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    made: list[Worker] = []
    yield made
    for worker in made:
        worker.stop()
        worker.join()


def running(cloud: Cloud, workers: list[Worker], *, delivers: bool = False) -> Worker:
    worker = Worker(built_of(cloud), threads=4, clock=SystemClock() if delivers else cloud.clock)
    workers.append(worker)
    if delivers:
        worker.start()
    return worker


def batch(count: int) -> list[tuple[bytes, Meta]]:
    return [(body(f"e{n}", picture=jpeg(shade=n)), META) for n in range(count)]


def test_a_batch_is_done_when_every_message_has_come_to_an_end(workers: list[Worker]) -> None:
    cloud = Cloud()
    messages = [*batch(5), (b"poison", META), (body("e0"), META)]
    assert running(cloud, workers).take(messages)
    assert cloud.states() == {f"e{n}": "verified" for n in range(5)}
    assert len(list(cloud.store.keys("dead/"))) == 1


def test_verdicts_are_delivered_while_messages_are_taken(workers: list[Worker]) -> None:
    reply = Knocking()
    cloud = Cloud(reply=reply)
    assert running(cloud, workers, delivers=True).take(batch(3))
    assert reply.came.wait(10)


def test_while_a_service_is_away_a_batch_is_held_and_then_finished(workers: list[Worker]) -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendBusy("503")] * 7 + [LAPTOP])])
    assert running(cloud, workers).take(batch(1))
    assert cloud.states() == {"e0": "verified"}


def test_what_is_held_too_long_expires_and_frees_the_partition(workers: list[Worker]) -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendBusy("429", billed=False)])])
    assert running(cloud, workers).take(batch(1))
    assert cloud.states() == {"e0": "expired"}


def test_a_refused_key_stops_the_worker_and_nothing_is_checkpointed(workers: list[Worker]) -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendMisconfigured("401")])])
    worker = running(cloud, workers)
    assert not worker.take(batch(3))
    assert isinstance(worker.failure, BackendMisconfigured)
    assert not worker.is_healthy


def test_a_hub_that_refuses_us_stops_the_worker(workers: list[Worker]) -> None:
    reply = Knocking()
    reply.faults = [ReplyForbidden("401")]
    cloud = Cloud(reply=reply)
    stopped = threading.Event()
    worker = Worker(built_of(cloud), threads=2, on_stop=stopped.set)
    workers.append(worker)
    worker.start()
    worker.take(batch(1))
    assert stopped.wait(10)
    assert isinstance(worker.failure, ReplyForbidden)
    assert cloud.states() == {"e0": "verified"}


def test_after_a_stop_a_batch_is_not_done(workers: list[Worker]) -> None:
    worker = running(Cloud(), workers)
    worker.stop()
    assert not worker.take(batch(1))


@pytest.mark.timeout(15)
def test_a_message_that_comes_twice_at_once_does_not_hold_its_batch_for_a_lease(
    workers: list[Worker],
) -> None:
    cloud = Cloud(cache_days=0)
    assert running(cloud, workers, delivers=True).take([(body("a"), META)] * 4)
    assert cloud.backends[0].calls == 1


class AwayTwice(MemoryStore):
    """A store whose first two writes find it away."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 2

    def create(self, key: str, value: bytes) -> str:
        if self._left:
            self._left -= 1
            raise StoreUnavailable("away")
        return super().create(key, value)


def test_a_store_that_is_away_is_waited_for(workers: list[Worker]) -> None:
    cloud = Cloud(store=AwayTwice())
    assert running(cloud, workers).take(batch(1))
    assert cloud.clock.waited_s[:2] == [5, 5]


def test_a_bug_is_set_aside_with_its_name_and_stops_nothing() -> None:
    def broken(picture: Picture) -> Opinion:
        raise ZeroDivisionError("1/0")

    cloud = Cloud(backends=[PlayedBackend([broken])])
    outcome = take(cloud.core, body("a"), META)
    assert (outcome.kind, outcome.reason) == (Kind.POISON, "bug")
    (key,) = cloud.store.keys("dead/")
    stored = cloud.store.read(key)
    assert stored
    assert b"ZeroDivisionError" in stored.value


class Partition:
    """As the SDK's context: remembers checkpoints."""

    partition_id = "3"

    def __init__(self) -> None:
        self.checkpoints: list[str | None] = []

    def update_checkpoint(self, event: EventData | None = None) -> None:
        self.checkpoints.append(event.offset if event else None)


def event(content: bytes, offset: str, schema: str | None = "escalation/1") -> EventData:
    """An event as the SDK gives it, made from an AMQP message as IoT Hub sends it."""
    received = Message(
        data=[content[:10], content[10:]],
        message_annotations={
            b"iothub-connection-device-id": b"line-1",
            b"iothub-connection-module-id": b"visionedge",
            b"x-opt-offset": offset.encode(),
            b"x-opt-enqueued-time": int(START.timestamp() * 1000),
        },
        application_properties={b"schema": schema.encode()} if schema else None,
    )
    return EventData._from_message(received)


def test_who_sent_an_event_is_what_the_hub_stamped_on_it() -> None:
    one = event(body("a"), "128")
    meta = meta_of(one, "3")
    assert (meta.device_id, meta.module_id, meta.position) == ("line-1", "visionedge", "3/128")
    assert meta.enqueued_at == START
    assert body_of(one) == body("a")


def test_a_batch_of_events_is_checkpointed_at_its_last(workers: list[Worker]) -> None:
    cloud, partition = Cloud(), Partition()
    worker = running(cloud, workers)
    telemetry = event(b"{}", "12", schema="telemetry/1")
    assert not is_escalation(telemetry)
    on_batch(worker, partition, [event(body("a"), "10"), event(b"x", "11"), telemetry])
    assert partition.checkpoints == ["12"]
    assert cloud.states() == {"a": "verified"}
    on_batch(worker, partition, [])
    assert partition.checkpoints == ["12"]


def test_events_that_are_not_done_are_not_checkpointed(workers: list[Worker]) -> None:
    cloud, partition = Cloud(backends=[PlayedBackend([BackendMisconfigured("401")])]), Partition()
    on_batch(running(cloud, workers), partition, [event(body("a"), "10")])
    assert partition.checkpoints == []


def test_the_pages_show_what_was_counted_and_whether_it_is_well() -> None:
    metrics = Metrics()
    cloud = Cloud()
    core = replace(cloud.core, observer=metrics)
    courier = Courier(cloud.ledger, cloud.reply, cloud.clock, metrics)
    cloud.asking.told = metrics.called
    metrics.watch(replace(built_of(cloud), courier=courier))
    core.handle(body("a"), META)
    core.handle(b"x", META)
    well = [True]
    pages = Pages("127.0.0.1", 0, metrics, lambda: well[0])
    pages.start()
    try:
        at = f"http://127.0.0.1:{pages.port}"
        with urllib.request.urlopen(f"{at}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        with urllib.request.urlopen(f"{at}/healthz", timeout=10) as answer:
            assert answer.status == 200
        well[0] = False
        with pytest.raises(HTTPError, match="503") as caught:
            urllib.request.urlopen(f"{at}/healthz", timeout=10)
        caught.value.close()
    finally:
        pages.stop()
    assert 'verifier_messages_total{kind="verified",reason=""} 1.0' in page
    assert 'verifier_messages_total{kind="poison",reason="not_json"} 1.0' in page
    assert 'verifier_transactions_total{backend="played",region="westeurope"} 1.0' in page
    assert 'verifier_agreement_total{word="confirm"} 1.0' in page
    assert 'verifier_breaker{backend="played",region="westeurope"} 0.0' in page
    assert "verifier_verdicts_waiting 0.0" in page
