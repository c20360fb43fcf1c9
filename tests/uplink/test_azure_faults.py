"""The real SDK on a hub with faults: everything put into the spool arrives after all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.envelopes import resolution
from tests.support.hub_sides import WAIT_S, eventually
from tests.support.linked_spool import LinkedSpool, arrives

from devhub import DevHub
from visionedge.entities import Kind
from visionedge.uplink.hub import DesiredDocument, LinkChanged


@pytest.fixture
def module(devhub: DevHub, tmp_path: Path) -> Iterator[LinkedSpool]:
    module = LinkedSpool(tmp_path)
    yield module
    module.close()


def test_a_cut_loses_nothing(devhub: DevHub, module: LinkedSpool) -> None:
    module.connect()
    ids = module.put(10)
    arrives(devhub, ids)
    devhub.cut()
    ids |= module.put(20)
    module.events.wait(lambda event: event == LinkChanged(connected=False))
    devhub.restore()
    arrives(devhub, ids)
    assert set(devhub.ids("escalation")) == ids
    assert module.metrics.counts("visionedge_spool_lost_total", "cause") == {}
    # The last one has arrived a moment before its acknowledgement.
    assert eventually(lambda: module.spool.unanswered() == 30)


def test_a_hub_that_refuses_at_first_is_met_later(devhub: DevHub, module: LinkedSpool) -> None:
    devhub.cut()
    module.start()
    ids = module.put(3)
    devhub.wait(lambda: bool(module.rebuilt()), WAIT_S)
    devhub.restore()
    arrives(devhub, ids)
    assert module.rebuilt() == {"connect"}


def test_a_cut_for_longer_than_the_sdk_should_need_rebuilds(
    devhub: DevHub, module: LinkedSpool
) -> None:
    module.connect()
    devhub.cut()
    ids = module.put(3)
    devhub.wait(lambda: "lost" in module.rebuilt(), WAIT_S)
    devhub.restore()
    arrives(devhub, ids)


def test_a_silent_cloud_gets_one_window(devhub: DevHub, tmp_path: Path) -> None:
    module = LinkedSpool(tmp_path, window=4)
    devhub.set_faults(silent_cloud=True)
    module.start()
    ids = module.put(12)
    module.put(1, Kind.TELEMETRY)
    devhub.wait(lambda: devhub.ids("telemetry"), WAIT_S)
    devhub.wait(lambda: len(devhub.ids("escalation")) == 4, WAIT_S)
    assert module.spool.backlog()[Kind.ESCALATION].ready.messages == 8
    for id_ in list(devhub.ids("escalation")):
        module.spool.settle(resolution(id_))
    devhub.wait(lambda: len(devhub.ids("escalation")) == 8, WAIT_S)
    assert set(devhub.ids("escalation")) <= ids
    module.close()


@pytest.mark.parametrize(
    "fault",
    [
        {"lose_puback": 1},
        {"lose_twin_answer": 1},
        {"lose_suback": 1},
        {"mute_connack": True},
        {"connack_code": 3},
        {"connack_code": 5},
        {"workload_gone": True},
        {"workload_error": True},
        {"workload_hung": True},
    ],
    ids=lambda fault: "-".join(f"{name}={value}" for name, value in fault.items()),
)
def test_a_start_into_a_fault_ends_well_when_the_fault_ends(
    devhub: DevHub, module: LinkedSpool, fault: dict[str, bool | int]
) -> None:
    devhub.set_faults(**fault)
    module.start()
    ids = module.put(3)
    counted = any(value is not True and name.startswith("lose") for name, value in fault.items())
    if not counted:
        devhub.wait(lambda: bool(module.rebuilt()), WAIT_S)
        devhub.clear_faults()
    arrives(devhub, ids)
    module.events.wait(lambda event: isinstance(event, DesiredDocument))
    devhub.patch_desired({"after": True})
    module.events.wait(lambda event: "after" in getattr(event, "properties", {}))


def test_credentials_that_are_refused_on_reconnect_are_made_anew(
    devhub: DevHub, module: LinkedSpool
) -> None:
    module.connect()
    devhub.set_faults(connack_code=5)
    devhub.drop_links()
    ids = module.put(3)
    devhub.wait(lambda: bool(module.rebuilt()), WAIT_S)
    devhub.clear_faults()
    arrives(devhub, ids)


def test_messages_that_close_the_link_do_not_stop_the_others(
    devhub: DevHub, module: LinkedSpool
) -> None:
    module.connect()
    devhub.set_faults(poison_output="telemetry")
    module.put(1, Kind.TELEMETRY)
    arrives(devhub, module.put(10))
    devhub.clear_faults()
    devhub.wait(lambda: devhub.ids("telemetry"), WAIT_S)


def test_a_token_that_cannot_be_renewed_costs_a_new_client_and_no_message(
    devhub: DevHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.iot.device.common.pipeline.pipeline_stages_base import SasTokenStage

    monkeypatch.setattr(SasTokenStage, "DEFAULT_TOKEN_UPDATE_MARGIN", 3)
    module = LinkedSpool(tmp_path, token_ttl_s=5)
    module.connect()
    devhub.set_faults(workload_error=True)
    devhub.wait(lambda: "auth" in module.rebuilt(), WAIT_S)
    ids = module.put(3)
    devhub.clear_faults()
    arrives(devhub, ids)
    module.close()
