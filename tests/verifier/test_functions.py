"""The Functions app: driven by the library's own converter, and never raising."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.cloud import LAPTOP, META, START, Cloud, PlayedBackend, body, jpeg
from tests.verifier.test_worker import AwayTwice, built_of

from verifier.errors import BackendBusy, BackendMisconfigured, ReplyForbidden
from verifier.hosts.functions import FunctionsHost
from verifier.opinion import Opinion, Picture

ROOT: Final = Path(__file__).parents[2]
func: Any = pytest.importorskip("azure.functions", reason="no azure-functions for this Python")


def host_of(cloud: Cloud) -> FunctionsHost:
    return FunctionsHost(built_of(cloud), cloud.clock)


def test_a_batch_is_verified_and_delivered_in_one_call() -> None:
    cloud = Cloud()
    host_of(cloud).take([(body("a"), META), (b"poison", META), (body("a"), META)])
    assert cloud.states() == {"a": "delivered"}
    assert cloud.backends[0].calls == 1


def test_a_busy_service_is_waited_for_within_the_call() -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendBusy("503")] * 4 + [LAPTOP])])
    host_of(cloud).take([(body("a"), META)])
    assert cloud.states() == {"a": "delivered"}


@pytest.mark.parametrize("error", [BackendBusy("429", billed=False), BackendMisconfigured("401")])
def test_what_cannot_be_finished_is_set_aside_and_can_come_again(error: Exception) -> None:
    backend = PlayedBackend([error])
    cloud = Cloud(backends=[backend])
    host_of(cloud).take([(body("a"), META)])
    (key,) = cloud.store.keys("dead/")
    assert "/deferred/" in key
    backend.answers = [LAPTOP]
    cloud.clock.advance(60)
    host_of(cloud).take([(body("a"), META)])
    assert cloud.states() == {"a": "delivered"}


def test_one_that_takes_all_the_time_leaves_the_others_theirs() -> None:
    def silent(picture: Picture) -> Opinion:
        if picture.jpeg != jpeg():
            return LAPTOP
        cloud.clock.advance(cloud.backends[0].timeouts_s[-1])
        raise BackendBusy("no answer in time", billed=False)

    cloud = Cloud(backends=[PlayedBackend([silent])], cache_days=0)
    batch = [(body("slow"), META)]
    batch += [(body(f"e{at}", picture=jpeg(shade=at + 1)), META) for at in range(5)]
    host_of(cloud).take(batch)
    states = cloud.states()
    assert states.pop("slow") == "claimed"
    assert states == {f"e{at}": "delivered" for at in range(5)}


def test_what_there_was_no_time_for_is_set_aside_saying_so() -> None:
    def slow(_: Picture) -> Opinion:
        cloud.clock.advance(200)
        return LAPTOP

    cloud = Cloud(backends=[PlayedBackend([slow])])
    host_of(cloud).take([(body("a"), META), (body("b"), META)])
    (key,) = cloud.store.keys("dead/")
    stored = cloud.store.read(key)
    assert stored
    assert json.loads(stored.value)["detail"] == "no time left"
    assert cloud.states() == {"a": "delivered"}


def test_neither_a_hub_that_refuses_us_nor_an_absent_store_raises() -> None:
    cloud = Cloud(store=AwayTwice())
    cloud.reply.faults = [ReplyForbidden("401")]
    host = host_of(cloud)
    host.take([(body("a"), META)])
    assert cloud.states() == {"a": "verified"}
    host.deliver()
    assert cloud.states() == {"a": "delivered"}


def converted(bodies: list[bytes]) -> Any:  # noqa: ANN401 - the library's events
    """Events as the Functions worker makes them of what the host sends."""
    from azure.functions import meta
    from azure.functions.eventhub import EventHubTriggerConverter

    class Collection:
        bytes = bodies

    stamped = {
        "iothub-connection-device-id": "line-1",
        "iothub-connection-module-id": "visionedge",
        "EnqueuedTimeUtc": START.isoformat(),
    }
    metadata = {
        "SystemPropertiesArray": meta.Datum(json.dumps([stamped] * len(bodies)), "json"),
    }
    data = meta.Datum(Collection, "collection_bytes")
    return EventHubTriggerConverter.decode(data, trigger_metadata=metadata)


@pytest.fixture(scope="module")
def app() -> Iterator[tuple[Any, dict[str, Any]]]:
    """The app's module, and its functions by name; the library gives them once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "cloud/functions")
        module = importlib.import_module("function_app")
        yield module, {f.get_function_name(): f for f in module.app.get_functions()}


def test_the_app_hands_each_event_with_its_sender_to_the_host(
    app: tuple[Any, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, functions = app
    cloud = Cloud()
    host = host_of(cloud)
    monkeypatch.setattr(module, "host", lambda: host)
    assert functions.keys() == {"verify", "deliver"}
    functions["verify"].get_user_function()(converted([body("a"), body("b")]))
    assert cloud.states() == {"a": "delivered", "b": "delivered"}
    (key, _) = cloud.store.keys("ledger/")
    assert key == "ledger/line-1/visionedge/a"


def test_the_trigger_takes_batches_of_bytes(app: tuple[Any, dict[str, Any]]) -> None:
    trigger = app[1]["verify"].get_trigger().get_dict_repr()
    assert str(trigger["cardinality"]).lower().endswith("many")
    assert trigger["consumerGroup"] == "verifier"
    host = json.loads((ROOT / "cloud/functions/host.json").read_text())
    assert host["functionTimeout"] == "00:05:00"
