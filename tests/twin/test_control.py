"""The control thread: whatever becomes of a document, the twin is answered."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.hub_fake import FakeHub
from tests.support.running import wait_until

from visionedge.acknowledge import Acknowledger
from visionedge.control import Control
from visionedge.errors import SettingsError
from visionedge.facts import FactsReport
from visionedge.methods import Methods
from visionedge.metrics import Metrics
from visionedge.runtime.clock import SystemClock
from visionedge.settings import Document, LastGood, Settings, resolve
from visionedge.telemetry import Telemetry
from visionedge.twin import DesiredState, OpenEnd
from visionedge.uplink.archive import Archive
from visionedge.uplink.hub import MethodCall
from visionedge.uplink.inbox import Inbox
from visionedge.uplink.link import Link
from visionedge.uplink.sender import Pacing, Sender
from visionedge.uplink.spool import Spool

WAIT_S = 10


class Failing:
    """Something that settings are applied to, and that has a fault of its own."""

    settings = resolve([])

    def __init__(self) -> None:
        self.applied: list[float] = []
        self.changing = False
        """Whether something else does not act yet each time that is asked for."""
        self.asked = 0
        self.hold: threading.Event | None = None
        """Set it to let go of what is being applied."""
        self.held = threading.Event()
        self.told: Document = {"camera": {"states": {}}, "privacy": {"masked_cameras": 0}}

    def apply(self, settings: Settings) -> None:
        self.applied.append(settings.telemetry.interval_s)
        if self.hold is not None:
            self.held.set()
            self.hold.wait(WAIT_S)
        if settings.telemetry.interval_s == 7:
            raise RuntimeError("can't start new thread")
        if settings.telemetry.interval_s == 6:
            raise SettingsError("there is no such model")
        self.settings = settings

    def advance(self) -> None:
        """Nothing takes time."""

    def open_ends(self) -> tuple[OpenEnd, ...]:
        self.asked += self.changing
        return (OpenEnd("telemetry", f"{self.asked}"),) if self.changing else ()

    def facts(self) -> Document:
        return self.told


@pytest.fixture
def target() -> Failing:
    return Failing()


@pytest.fixture
def hub(tmp_path: Path, target: Failing) -> Iterator[FakeHub]:
    metrics, hub = Metrics(), FakeHub()
    spool = Spool(tmp_path / "spool.db", max_bytes=10**7, max_age_s=60, metrics=metrics)
    inbox, desired, link = Inbox(hub.refresh_twin), DesiredState(), Link(60)
    sender = Sender(spool, hub, link, metrics, Pacing(1, 60))
    acknowledger = Acknowledger(hub, metrics, {})
    operated: Any = target
    telemetry = Telemetry(SystemClock().utc())
    archive = Archive(lambda: target.settings.escalation.archive)
    methods = Methods(spool, telemetry, operated, [], desired, sender.flush, archive)
    last_good = LastGood(tmp_path / "last-good.json")
    control = Control(
        [],
        target,
        desired,
        last_good,
        inbox,
        hub,
        sender,
        acknowledger,
        methods,
        metrics,
        FactsReport(every_s=0),
    )
    control.worker.start()
    acknowledger.worker.start()
    hub.start(inbox.offer)
    yield hub
    inbox.close()
    control.worker.stop(5)
    acknowledger.stop(5)
    spool.close()


def test_settings_on_which_the_module_fails_are_answered_as_refused(hub: FakeHub) -> None:
    hub.patch_desired({"telemetry": {"interval_s": 7}})
    wait_until(lambda: hub.reported.get("telemetry", {}).get("ac") == 400, "the answer")
    assert "the module failed on it" in hub.reported["telemetry"]["ad"]
    hub.patch_desired({"telemetry": {"interval_s": 8}})
    wait_until(lambda: hub.reported.get("telemetry", {}).get("ac") == 200, "the next one is taken")


def test_settings_that_a_full_disk_did_not_take_are_kept_once_there_is_room(
    hub: FakeHub, tmp_path: Path
) -> None:
    wait_until(lambda: "privacy" in hub.reported, "the first document is kept, and then facts told")
    # What stands where the new file is to be written cannot be taken away.
    (tmp_path / "last-good.json.new").mkdir()
    hub.patch_desired({"telemetry": {"interval_s": 8}})
    wait_until(lambda: hub.reported.get("telemetry", {}).get("ac") == 200, "the answer")
    (tmp_path / "last-good.json.new").rmdir()
    kept = LastGood(tmp_path / "last-good.json")
    wait_until(lambda: kept.load() == ({"telemetry": {"interval_s": 8}}, hub.version), "the file")


def test_more_names_than_one_patch_can_take_away_and_bring_are_answered_in_two(
    hub: FakeHub,
) -> None:
    for line in ("a", "b", "c"):
        rules = {f"{line}-{part:03}-label-of-part": {"accept": 0.5} for part in range(500)}
        gone = dict.fromkeys(hub.desired.get("decision", {}).get("classes", {}))
        hub.patch_desired({"decision": {"classes": {**gone, **rules}}})
        wait_until(lambda: hub.reported.get("decision", {}).get("av") == hub.version, "the answer")
        assert hub.reported["decision"]["ac"] == 200
        assert hub.reported["decision"]["value"]["classes"] == rules


def test_facts_of_which_the_hub_refuses_a_part_are_told_but_for_that(
    hub: FakeHub, target: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: "privacy" in hub.reported, "the first facts")
    hub.refused.add("camera")
    target.told = {"camera": {"states": {"a": "lost"}}, "privacy": {"masked_cameras": 1}}
    wait_until(lambda: hub.reported["privacy"]["masked_cameras"] == 1, "the rest of the facts")
    assert hub.reported["camera"] == {"states": {}}
    assert "the hub refuses the reported camera, privacy:" in caplog.text
    hub.refused.clear()
    target.told = {"camera": {"states": {"a": "running"}}, "privacy": {"masked_cameras": 1}}
    wait_until(lambda: hub.reported["camera"]["states"] == {"a": "running"}, "the next change")
    assert caplog.text.count("the hub refuses") == 2


@pytest.mark.parametrize("last", ["taken", "refused", "no model"])
def test_of_patches_that_wait_only_what_they_come_to_is_applied(
    hub: FakeHub, target: Failing, tmp_path: Path, last: str
) -> None:
    """A camera that opens slowly was blind for a minute after some seconds of patches."""
    target.hold = threading.Event()
    hub.patch_desired({"telemetry": {"interval_s": 10}})
    assert target.held.wait(WAIT_S)
    for interval_s in range(20, 40):
        hub.patch_desired({"telemetry": {"interval_s": interval_s}})
    if last != "taken":
        hub.patch_desired({"telemetry": {"interval_s": 6 if last == "no model" else -1}})
    target.hold.set()
    wait_until(lambda: hub.reported.get("telemetry", {}).get("av") == hub.version, "the answer")
    assert hub.reported["telemetry"]["ac"] == (200 if last == "taken" else 400)
    # What could not be used leaves the module with the last that could, also over a restart.
    assert target.applied == [10, *([6] if last == "no model" else []), 39]
    assert target.settings.telemetry.interval_s == 39
    kept = LastGood(tmp_path / "last-good.json")
    wait_until(lambda: (kept.load() or ({}, 0))[0] == {"telemetry": {"interval_s": 39}}, "it")


def test_a_method_meets_the_patches_before_it_in_effect(hub: FakeHub, target: Failing) -> None:
    target.hold = threading.Event()
    hub.patch_desired({"telemetry": {"interval_s": 10}})
    assert target.held.wait(WAIT_S)
    hub.patch_desired({"telemetry": {"interval_s": 20}})
    call = MethodCall("status", {})
    hub.offer(call)
    hub.patch_desired({"telemetry": {"interval_s": 30}})
    target.hold.set()
    call.wait(WAIT_S)
    wait_until(lambda: hub.reported.get("telemetry", {}).get("av") == hub.version, "the answer")
    assert target.applied == [10, 20, 30]


def test_a_document_that_fails_is_tried_once_and_the_one_before_it_is_used(
    hub: FakeHub, target: Failing
) -> None:
    """The hub may deliver a patch twice, and loading a model may fail after minutes."""
    target.hold = threading.Event()
    hub.patch_desired({"telemetry": {"interval_s": 10}})
    assert target.held.wait(WAIT_S)
    for interval_s in (39, 6, 6, -1):
        hub.patch_desired({"telemetry": {"interval_s": interval_s}})
    target.hold.set()
    wait_until(lambda: hub.reported.get("telemetry", {}).get("av") == hub.version, "the answer")
    assert target.applied == [10, 6, 39]
    assert target.settings.telemetry.interval_s == 39


def test_a_document_on_which_nobody_has_decided_is_not_acknowledged(
    hub: FakeHub, target: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although what does not act yet has changed meanwhile."""
    told: list[Any] = []
    put = Acknowledger.put

    def noted(self: Acknowledger, patch: Document, name: Any = "settings") -> None:  # noqa: ANN401 - one of two words
        told.append(patch)
        put(self, patch, name)

    monkeypatch.setattr(Acknowledger, "put", noted)
    target.hold = threading.Event()
    hub.patch_desired({"telemetry": {"interval_s": 10}})
    assert target.held.wait(WAIT_S)
    target.held.clear()
    hub.patch_desired({"telemetry": {"interval_s": -1}})
    undecided = hub.version
    hub.patch_desired({"telemetry": {"interval_s": 20}})
    first, target.hold = target.hold, threading.Event()
    target.changing = True
    first.set()
    assert target.held.wait(WAIT_S)
    assert f"'av': {undecided}" not in str(told)
    assert f"'desired_version': {undecided}" not in str(told)
    target.changing = False
    target.hold.set()
    wait_until(lambda: hub.reported.get("telemetry", {}).get("av") == hub.version, "the answer")
