"""The real SDK on a hub with faults: everything put into the spool arrives after all."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.envelopes import envelope, resolution
from tests.support.hub_sides import WAIT_S, Events, eventually

from devhub import DevHub
from visionedge.entities import Kind
from visionedge.metrics import Metrics
from visionedge.runtime.backoff import Backoff
from visionedge.uplink import azure_hub
from visionedge.uplink.azure_hub import Deadlines
from visionedge.uplink.hub import DesiredDocument, HubEvent, LinkChanged
from visionedge.uplink.link import Link
from visionedge.uplink.sender import Pacing, Sender
from visionedge.uplink.spool import Spool
from visionedge.uplink.supervisor import Patience

SHORT = Deadlines(create_s=2, connect_s=1.5, twin_s=1, send_s=1, report_s=1)
QUICK = Patience(first_pause_s=0.05, most_pause_s=0.2, lost_s=2, close_s=1)


class Module:
    """Spool, sender and the real client, wired as the app does it."""

    def __init__(self, folder: Path, *, window: int = 100, token_ttl_s: int = 3600) -> None:
        self.metrics = Metrics()
        self.events = Events()
        self.spool = Spool(
            folder / "spool.db", max_bytes=10**8, max_age_s=10**6, metrics=self.metrics
        )
        self.hub = azure_hub.build(
            self.metrics,
            deadlines=SHORT,
            patience=QUICK,
            retry_interval_s=1,
            token_ttl_s=token_ttl_s,
        )
        self.sender = Sender(
            self.spool,
            self.hub,
            Link(120),
            self.metrics,
            Pacing(window, 120),
            backoff=Backoff(0.05, 0.2),
        )
        self.sent = 0

    def start(self) -> None:
        self.hub.start(self._take)
        self.sender.start()

    def connect(self) -> None:
        self.start()
        self.events.wait(lambda event: isinstance(event, DesiredDocument))

    def put(self, count: int, kind: Kind = Kind.ESCALATION) -> set[str]:
        """Put so many messages, the size of a picture, and return their ids."""
        ids = {f"{kind}-{self.sent + i}" for i in range(count)}
        self.sent += count
        for id_ in ids:
            self.spool.put(envelope(kind, id=id_, body=b"x" * 20_000))
        return ids

    def rebuilt(self) -> set[str]:
        return set(self.metrics.counts("visionedge_link_rebuilt_total", "cause"))

    def close(self) -> None:
        self.sender.stop(2)
        self.hub.close(10)
        self.spool.close()

    def _take(self, event: HubEvent) -> None:
        self.events(event)
        if event == LinkChanged(connected=True):
            self.sender.connected()


@pytest.fixture
def module(devhub: DevHub, tmp_path: Path) -> Iterator[Module]:
    module = Module(tmp_path)
    yield module
    module.close()


def arrives(devhub: DevHub, ids: set[str]) -> None:
    """All of them, each once after duplicates are removed by id."""
    devhub.wait(lambda: ids <= set(devhub.ids("escalation")), WAIT_S, "every escalation")


def test_a_cut_loses_nothing(devhub: DevHub, module: Module) -> None:
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


def test_a_hub_that_refuses_at_first_is_met_later(devhub: DevHub, module: Module) -> None:
    devhub.cut()
    module.start()
    ids = module.put(3)
    devhub.wait(lambda: bool(module.rebuilt()), WAIT_S)
    devhub.restore()
    arrives(devhub, ids)
    assert module.rebuilt() == {"connect"}


def test_a_cut_for_longer_than_the_sdk_should_need_rebuilds(devhub: DevHub, module: Module) -> None:
    module.connect()
    devhub.cut()
    ids = module.put(3)
    devhub.wait(lambda: "lost" in module.rebuilt(), WAIT_S)
    devhub.restore()
    arrives(devhub, ids)


def test_a_silent_cloud_gets_one_window(devhub: DevHub, tmp_path: Path) -> None:
    module = Module(tmp_path, window=4)
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
    devhub: DevHub, module: Module, fault: dict[str, bool | int]
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


@pytest.mark.parametrize(
    "happen",
    [
        lambda hub: hub.set_faults(lose_puback=1),
        lambda hub: hub.set_faults(drop_at_publish=2),
        lambda hub: hub.drop_links(),
        lambda hub: hub.lose_sessions(),
        lambda hub: hub.rotate_authority(),
        lambda hub: (hub.set_faults(lose_twin_answer=1), hub.drop_links()),
        lambda hub: (hub.set_faults(lose_session=1), hub.drop_links()),
    ],
    ids=["puback", "drop", "cut", "session", "authority", "twin", "session-stored"],
)
def test_a_fault_in_mid_run_costs_no_message_and_no_setting(
    devhub: DevHub, module: Module, happen: Callable[[DevHub], object]
) -> None:
    module.connect()
    arrives(devhub, module.put(2))
    happen(devhub)
    arrives(devhub, module.put(5))
    devhub.patch_desired({"after": True})
    module.events.wait(lambda event: "after" in getattr(event, "properties", {}))


def test_credentials_that_are_refused_on_reconnect_are_made_anew(
    devhub: DevHub, module: Module
) -> None:
    module.connect()
    devhub.set_faults(connack_code=5)
    devhub.drop_links()
    ids = module.put(3)
    devhub.wait(lambda: bool(module.rebuilt()), WAIT_S)
    devhub.clear_faults()
    arrives(devhub, ids)


def test_messages_that_close_the_link_do_not_stop_the_others(
    devhub: DevHub, module: Module
) -> None:
    module.connect()
    devhub.set_faults(poison_output="telemetry")
    module.put(1, Kind.TELEMETRY)
    arrives(devhub, module.put(10))
    devhub.clear_faults()
    devhub.wait(lambda: devhub.ids("telemetry"), WAIT_S)


def rebuild(devhub: DevHub, module: Module, times: int) -> None:
    """So many new clients, each after credentials that were refused."""
    for _ in range(times):
        rebuilds = module.metrics.value("visionedge_link_rebuilt_total")
        module.events.seen.clear()
        devhub.set_faults(connack_code=5)
        devhub.drop_links()
        devhub.wait(
            lambda before=rebuilds: (  # type: ignore[misc] # bound now
                module.metrics.value("visionedge_link_rebuilt_total") > before
            ),
            WAIT_S,
        )
        devhub.clear_faults()
        module.events.wait(lambda event: isinstance(event, DesiredDocument))


def growth(devhub: DevHub, module: Module, times: int) -> tuple[int, int]:
    """Threads and descriptors that so many rebuilds leave behind."""

    def in_use() -> tuple[int, int]:
        gc.collect()
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    module.connect()
    rebuild(devhub, module, 3)
    threads, descriptors = in_use()
    rebuild(devhub, module, times)
    threads_after, descriptors_after = in_use()
    return threads_after - threads, descriptors_after - descriptors


def test_rebuilding_leaves_no_threads_and_no_descriptors(devhub: DevHub, module: Module) -> None:
    threads, descriptors = growth(devhub, module, 8)
    assert threads <= 6
    assert descriptors <= 8


@pytest.mark.slow
def test_rebuilding_a_hundred_times_leaves_no_more_than_eight_times_do(
    devhub: DevHub, module: Module
) -> None:
    threads, descriptors = growth(devhub, module, 100)
    assert threads <= 6
    assert descriptors <= 8


def test_a_token_that_cannot_be_renewed_costs_a_new_client_and_no_message(
    devhub: DevHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.iot.device.common.pipeline.pipeline_stages_base import SasTokenStage

    monkeypatch.setattr(SasTokenStage, "DEFAULT_TOKEN_UPDATE_MARGIN", 3)
    module = Module(tmp_path, token_ttl_s=5)
    module.connect()
    devhub.set_faults(workload_error=True)
    devhub.wait(lambda: "auth" in module.rebuilt(), WAIT_S)
    ids = module.put(3)
    devhub.clear_faults()
    arrives(devhub, ids)
    module.close()


RECOVERY_S = 20.0
"""Stated for every row: from the end of the fault until a new message and a new patch are
through, with the short deadlines and pauses of these tests. In the field it is what `Deadlines`
and `Patience` say: at most the deadline of the call that hangs, and one pause."""


# A client that is shut down in the midst of reconnecting: a thread of paho trips over it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("fault", "drops"),
    [
        pytest.param({"refuse_tcp": True}, True, id="A-refuses-tcp"),
        pytest.param({"drop_at_publish": 1}, False, id="B-drop-before-puback"),
        pytest.param({"lose_puback": True}, False, id="B2-lost-puback"),
        pytest.param({"lose_twin_answer": True}, True, id="E-lost-twin-answer"),
        pytest.param({"lose_suback": True}, True, id="H-lost-suback"),
        pytest.param({"lose_session": True}, True, id="S-lost-session"),
        pytest.param({"connack_code": 3}, True, id="J2-connack-3"),
        pytest.param({"connack_code": 4}, True, id="J-connack-4"),
        pytest.param({"connack_code": 5}, True, id="J-connack-5"),
        pytest.param({"mute_connack": True}, True, id="G2-mute-connack"),
        pytest.param({"no_tls": True}, True, id="G-no-tls"),
        pytest.param({"freeze": True}, False, id="G-pulled-cable"),
        pytest.param({"poison_output": "telemetry"}, False, id="P-poison"),
        pytest.param({"rival_s": 0.2}, False, id="DUP-rival"),
        pytest.param({"reorder_patches": 3}, False, id="O-reordered-patches"),
        pytest.param({"puback_delay_s": 0.5}, False, id="W-late-puback"),
        pytest.param({"latency_s": 0.3}, False, id="W-latency"),
        pytest.param({"uplink_bytes_per_s": 20_000}, False, id="W-narrow"),
        pytest.param({"workload_error": True, "connack_code": 5}, True, id="F2-workload-500"),
        pytest.param({"workload_hung": True, "connack_code": 5}, True, id="Y-workload-hung"),
        pytest.param({"workload_gone": True, "connack_code": 5}, True, id="Y-workload-gone"),
        pytest.param({"never_synced": True}, True, id="never-synced"),
    ],
)
def test_after_each_row_of_the_behaviour_table_all_arrives_within_the_stated_time(
    devhub: DevHub, module: Module, fault: dict[str, bool | float | str], drops: bool
) -> None:
    module.connect()
    ids = module.put(2)
    arrives(devhub, ids)
    devhub.set_faults(**fault)
    if drops:
        devhub.drop_links()
    ids |= module.put(2)
    module.put(1, Kind.TELEMETRY)
    # As long as the shortest deadline, so that a call is caught by it.
    threading.Event().wait(1.2)
    devhub.clear_faults()
    ended = time.monotonic()
    arrives(devhub, ids | module.put(2))
    devhub.wait(lambda: devhub.ids("telemetry"), WAIT_S)
    devhub.patch_desired({"after": True})
    module.events.wait(lambda event: "after" in getattr(event, "properties", {}))
    assert time.monotonic() - ended < RECOVERY_S
    assert module.metrics.counts("visionedge_spool_lost_total", "cause") == {}
