"""A pause, of a camera by an operator or of escalations by the cloud, on a running module."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until

from visionedge import linkup
from visionedge.app import App
from visionedge.cameras.feed import CameraState
from visionedge.entities import Kind

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    hub = FakeHub()
    monkeypatch.setattr(linkup, "choose", lambda *_: hub)
    return hub


@pytest.fixture
def app(tmp_path: Path, hub: FakeHub) -> Iterator[App]:
    document = busy_line(tmp_path, escalation={"one_per_object": False, "control_per_hour": 0})
    document["uplink"] |= {"window": 200}
    app = App([document], environment=os.environ)
    app.start()
    yield app
    app.stop(3)


def got(hub: FakeHub, kind: Kind) -> int:
    return sum(envelope.kind is kind for envelope in list(hub.received))


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def answer(hub: FakeHub) -> dict[str, Any]:
    return dict(hub.reported.get("escalation", {}))


def told(hub: FakeHub) -> str:
    return str(hub.reported.get("connectivity", {}).get("escalations_paused_until", "nothing"))


def test_while_the_cloud_asks_for_a_pause_escalations_are_kept_and_telemetry_goes_on(
    app: App, hub: FakeHub
) -> None:
    wait_until(lambda: got(hub, Kind.ESCALATION) > 1, "escalations")
    hub.patch_desired({"escalation": {"pausedUntil": in_hours(2)}})
    wait_until(lambda: app.metrics.value("visionedge_escalations_paused") == 1, "the pause")
    kept = app.reporter.spool_stats().messages
    before, windows = got(hub, Kind.ESCALATION), got(hub, Kind.TELEMETRY)
    wait_until(lambda: app.reporter.spool_stats().messages > kept + 3, "they are kept")
    wait_until(lambda: got(hub, Kind.TELEMETRY) > windows, "telemetry")
    # One may have been on its way.
    assert got(hub, Kind.ESCALATION) <= before + 1
    assert app.link.state == "online"
    assert hub.reported["escalation"]["ac"] == 200
    assert app.status()["escalations_paused_until"]
    hub.patch_desired({"escalation": {"pausedUntil": in_hours(-1)}})
    wait_until(lambda: got(hub, Kind.ESCALATION) > before + 3, "they are sent")
    assert app.status()["escalations_paused_until"] == ""


@pytest.mark.slow
def test_a_time_too_far_ahead_is_taken_as_the_longest_pause_and_the_twin_says_so(
    app: App, hub: FakeHub
) -> None:
    hub.patch_desired({"escalation": {"pausedUntil": "2999-01-01T00:00:00Z", "max_pause_s": 3600}})
    wait_until(lambda: told(hub).startswith("20"), "the reported pause", 60)
    assert datetime.fromisoformat(told(hub)) <= datetime.now(UTC) + timedelta(hours=1)
    answer = hub.reported["escalation"]
    assert (answer["ac"], answer["value"]["pausedUntil"]) == (202, "2999-01-01T00:00:00Z")
    assert "max_pause_s" in answer["ad"]


def test_what_is_no_time_is_refused_by_name(app: App, hub: FakeHub) -> None:
    bads: tuple[object, ...] = ("soon", "2026-11-21T18:00:00", 1_700_000_000, [], "1700000000")
    for bad in bads:
        hub.patch_desired({"escalation": {"pausedUntil": bad}})
        wait_until(lambda: answer(hub).get("av") == hub.version, "the answer")
        assert answer(hub)["ac"] == 400
        assert "escalation.pausedUntil" in answer(hub)["ad"]
    assert app.status()["escalations_paused_until"] == ""


def test_a_paused_camera_stays_paused_over_a_restart_until_it_is_resumed(
    app: App, hub: FakeHub, tmp_path: Path
) -> None:
    assert hub.invoke("pauseCamera", {"camera": "line-1"}).status == 200
    wait_until(
        lambda: app.status()["cameras"]["line-1"] == CameraState.PAUSED, "the camera is paused"
    )
    app.stop(3)
    again = App([busy_line(tmp_path)], environment=os.environ)
    again.start()
    try:
        wait_until(
            lambda: again.status()["cameras"]["line-1"] == CameraState.PAUSED, "still paused"
        )
        # The component is not there at all until the first facts are reported.
        wait_until(
            lambda: (
                hub.reported.get("camera", {}).get("states", {}).get("line-1") == CameraState.PAUSED
            ),
            "reported",
        )
        assert again.metrics.value("visionedge_frames_captured_total") == 0
        assert hub.invoke("resumeCamera", {"camera": "line-1"}).status == 200
        wait_until(
            lambda: again.status()["cameras"]["line-1"] == CameraState.RUNNING, "it runs again"
        )
    finally:
        again.stop(3)


def test_a_camera_that_was_taken_away_while_paused_comes_back_unpaused(
    app: App, hub: FakeHub
) -> None:
    hub.patch_desired({"cameras": {"gate": {"kind": "pattern", "fps": 5}}})
    wait_until(lambda: "gate" in app.lineup.feeds, "the camera")
    assert hub.invoke("pauseCamera", {"camera": "gate"}).status == 200
    hub.patch_desired({"cameras": {"gate": None}})
    wait_until(lambda: "gate" not in app.lineup.feeds, "it is gone")
    hub.patch_desired({"cameras": {"gate": {"kind": "pattern", "fps": 5}}})
    wait_until(lambda: app.status()["cameras"].get("gate") == CameraState.RUNNING, "it runs")
