"""A module without budget is told to stop, once, and to go on when the budget is back."""

import importlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.cloud import META, Cloud, body, jpeg
from tests.support.vision_stub import Reply, serving
from tests.verifier.test_iot_hub_reply import service_sdk
from tests.verifier.test_oracles import told

from verifier.admit import Meta
from verifier.back_pressure import BackPressure
from verifier.budget import Budget
from verifier.errors import ReplyDeferred, ReplyError, ReplyForbidden, ReplyRefused
from verifier.reply.iot_hub_twin import IotHubTwins

TOMORROW = "2026-11-22T00:00:00Z"


class PlayedTwins:
    """Twins in memory, which take a patch or raise what stands next in `faults`."""

    def __init__(self, *faults: ReplyError) -> None:
        self.faults = list(faults)
        self.patches: list[tuple[str, str | None]] = []

    def patch(self, device_id: str, module_id: str, desired: Mapping[str, Any]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.patches.append((f"{device_id}/{module_id}", desired["escalation"]["pausedUntil"]))


def pressed(cloud: Cloud, twins: PlayedTwins) -> BackPressure:
    """The cloud's core tells it of every empty budget."""
    pressure = BackPressure(cloud.store, cloud.budget, twins, cloud.clock)
    cloud.core = replace(cloud.core, on_spent=pressure.pause)
    return pressure


def ask(cloud: Cloud, *ids: str, meta: Meta = META) -> None:
    for shade, id_ in enumerate(ids):
        cloud.core.handle(body(id_, picture=jpeg(shade=shade), now=cloud.clock.utc()), meta)


def test_a_module_is_paused_until_the_next_day_by_one_patch() -> None:
    cloud, twins = Cloud(per_device=1, cache_days=0), PlayedTwins()
    pressed(cloud, twins)
    ask(cloud, "a")
    assert twins.patches == []
    ask(cloud, "b", "c", "d")
    assert twins.patches == [("line-1/visionedge", TOMORROW)]


def test_workers_of_one_budget_patch_once() -> None:
    first, twins = Cloud(per_device=0, cache_days=0, owner="one"), PlayedTwins()
    second = Cloud(per_device=0, cache_days=0, clock=first.clock, store=first.store, owner="two")
    pressed(first, twins)
    pressed(second, twins)
    ask(first, "a")
    ask(second, "b")
    assert len(twins.patches) == 1


def test_when_the_hubs_budget_is_spent_each_module_is_paused_as_it_asks() -> None:
    cloud, twins = Cloud(per_hub=0, cache_days=0), PlayedTwins()
    pressed(cloud, twins)
    ask(cloud, "a")
    ask(cloud, "b", meta=Meta("line/2", "m"))
    assert twins.patches == [("line-1/visionedge", TOMORROW), ("line/2/m", TOMORROW)]


def test_a_pause_is_lifted_with_the_new_day_and_set_again_when_that_is_spent() -> None:
    cloud, twins = Cloud(per_device=1, cache_days=0), PlayedTwins()
    pressure = pressed(cloud, twins)
    ask(cloud, "a", "b")
    pressure.lift()
    assert len(twins.patches) == 1, "nothing has changed"
    cloud.clock.advance(12 * 3600)
    pressure.lift()
    pressure.lift()
    assert twins.patches[1:] == [("line-1/visionedge", None)]
    ask(cloud, "c", "d")
    assert twins.patches[2:] == [("line-1/visionedge", "2026-11-23T00:00:00Z")]


def test_a_pause_is_lifted_when_somebody_raises_the_budget() -> None:
    cloud, twins = Cloud(per_device=1, cache_days=0), PlayedTwins()
    pressed(cloud, twins)
    ask(cloud, "a", "b")
    raised = Budget(cloud.store, cloud.clock, per_hub=None, per_device=5)
    BackPressure(cloud.store, raised, twins, cloud.clock).lift()
    assert twins.patches[1:] == [("line-1/visionedge", None)]


@pytest.mark.parametrize("fault", [ReplyDeferred("429"), ReplyForbidden("403")])
def test_a_patch_that_the_hub_does_not_take_is_tried_with_the_next_message(
    fault: ReplyError,
) -> None:
    cloud, twins = Cloud(per_device=0, cache_days=0), PlayedTwins(fault)
    pressed(cloud, twins)
    ask(cloud, "a")
    assert twins.patches == []
    ask(cloud, "b")
    assert len(twins.patches) == 1


def test_a_lift_that_fails_is_tried_again_but_not_for_a_module_that_is_gone() -> None:
    cloud, twins = Cloud(per_device=0, cache_days=0), PlayedTwins()
    pressure = pressed(cloud, twins)
    ask(cloud, "a")
    cloud.clock.advance(86_400)
    rich = replace(pressure, budget=Budget(cloud.store, cloud.clock, per_hub=None, per_device=9))
    twins.faults = [ReplyDeferred("503"), ReplyRefused("404")]
    for _ in range(3):
        rich.lift()
    assert twins.faults == []
    assert twins.patches == [("line-1/visionedge", TOMORROW)]
    assert list(cloud.store.keys("paused/")) == []


def patched(*replies: Reply) -> Any:  # noqa: ANN401 - a request of the stub
    desired = {"escalation": {"pausedUntil": TOMORROW}}
    with serving(*replies) as stub:
        twins = IotHubTwins(stub.endpoint, lambda: {"Authorization": "SharedAccessSignature x"})
        twins.patch("line 1/a", "vision#edge", desired)
    return stub.requests[0]


def test_a_twin_is_patched_as_the_service_sdk_patches_it() -> None:
    ours = patched(Reply(200, {}))
    protocol = service_sdk("protocol.iot_hub_gateway_service_ap_is")
    models = service_sdk("protocol.models")
    authentication = importlib.import_module("msrest.authentication")
    desired = {"escalation": {"pausedUntil": TOMORROW}}
    twin = models.Twin(properties=models.TwinProperties(desired=desired))
    with serving(Reply(200, {})) as stub, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = protocol.IotHubGatewayServiceAPIs(authentication.Authentication(), stub.endpoint)
        client.modules.update_twin("line 1/a", "vision#edge", twin, '"*"')
    (theirs,) = stub.requests
    mine, sdks = told(ours), told(theirs)
    sdks["content_type"] = sdks["content_type"].partition(";")[0]
    assert json.loads(theirs.body) == json.loads(ours.body)
    assert mine | {"body": 0} == sdks | {"body": 0}
    assert ours.method == "PATCH"
    assert ours.headers["If-Match"] == theirs.headers["If-Match"] == '"*"'


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, ReplyRefused),
        (412, ReplyRefused),
        (401, ReplyForbidden),
        (403, ReplyForbidden),
        (429, ReplyDeferred),
        (500, ReplyDeferred),
    ],
)
def test_each_answer_of_the_hub_has_its_meaning(status: int, error: type[ReplyError]) -> None:
    with pytest.raises(error):
        patched(Reply(status, {}))
