"""Direct methods on a running module: each does what it says, twice as well as once."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until

from visionedge import linkup
from visionedge.app import App
from visionedge.cameras.feed import CameraState
from visionedge.methods import METHODS

pytestmark = pytest.mark.timeout(120)


class Module:
    """A module on the hub in memory."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.hub = hub
        self.app = App([busy_line(folder)], environment=os.environ)

    def ask(self, name: str, payload: object = None, status: int = 200) -> dict[str, Any]:
        answer = self.hub.invoke(name, payload, 30)
        assert answer.status == status, answer
        json.dumps(answer.payload)
        return dict(answer.payload)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    hub = FakeHub()
    monkeypatch.setattr(linkup, "choose", lambda *_: hub)
    module = Module(tmp_path, hub)
    module.app.start()
    wait_until(lambda: module.app.metrics.value("visionedge_frames_processed_total") > 2, "frames")
    yield module
    module.app.stop(3)


def test_every_method_refuses_what_it_does_not_know_and_names_it(module: Module) -> None:
    for name, method in METHODS.items():
        if name == "applyVerdict":
            continue
        refused = module.ask(name, {"no such field": 1}, status=400)
        assert "no such field" in refused["fields"], name
        assert method.meaning
        assert module.ask(name, [1], status=400)["fields"]


def test_a_method_that_does_not_exist_is_answered_with_those_that_do(module: Module) -> None:
    assert "captureNow" in module.ask("captureThen", {}, status=404)["error"]


def test_capture_now_escalates_a_frame_that_recent_escalations_and_verdict_query_know(
    module: Module,
) -> None:
    module.hub.patch_desired({"escalation": {"min_interval_s": 3600}})
    assert module.ask("captureNow", {})["requested"] == ["line-1"]

    def requested() -> list[dict[str, Any]]:
        found = module.ask("recentEscalations", {"limit": 50})["escalations"]
        return [each for each in found if each["reason"] == "requested"]

    wait_until(lambda: bool(requested()), "the frame")
    known = requested()[0]
    assert known["camera"] == "line-1"
    state = module.ask("verdictQuery", {"escalation_id": known["escalation_id"]})["state"]
    assert state in ("waiting", "sent")
    assert module.ask("verdictQuery", {"escalation_id": "nobody"})["state"] == "unknown"
    assert "camera" in module.ask("captureNow", {"camera": "gone"}, status=404)["error"]


def test_a_camera_is_paused_and_resumed_and_stays_paused_over_a_patch(module: Module) -> None:
    def state() -> str:
        return str(module.ask("status")["cameras"]["line-1"])

    module.ask("pauseCamera", {"camera": "line-1"})
    module.ask("pauseCamera", {"camera": "line-1"})
    wait_until(lambda: state() == CameraState.PAUSED, "the pause")
    module.hub.patch_desired({"cameras": {"line-1": {"kind": "pattern", "fps": 7}}})
    wait_until(lambda: module.app.settings.cameras["line-1"].model_dump()["fps"] == 7, "the patch")
    wait_until(lambda: state() == CameraState.PAUSED, "still the pause")
    module.ask("resumeCamera", {"camera": "line-1"})
    wait_until(lambda: state() == CameraState.RUNNING, "the camera")
    module.ask("pauseCamera", {"camera": "gone"}, status=404)


def test_validate_config_says_what_a_patch_would_do_and_does_nothing(module: Module) -> None:
    revision = module.app.revision
    good = module.ask("validateConfig", {"patch": {"decision": {"accept": 0.4}}})
    assert good == {"valid": True, "changes": ["decision"]}
    bad = module.ask("validateConfig", {"patch": {"decision": {"accept": 4}}})
    assert not bad["valid"]
    assert list(bad["fields"]) == ["decision.accept"]
    assert module.app.revision == revision
    assert module.app.settings.decision.accept == 1.0


def test_flush_tells_what_waits(module: Module) -> None:
    assert set(module.ask("flush")["waiting"]) == {"escalation", "telemetry", "health"}


def test_diagnostics_are_small_and_hold_no_password(module: Module) -> None:
    address = "rtsp://admin:hunter2@127.0.0.1:9/x"
    module.hub.patch_desired({"cameras": {"yard": {"kind": "stream", "url": address}}})
    wait_until(lambda: "yard" in module.app.settings.cameras, "the camera")
    told = json.dumps(module.ask("diagnostics"))
    assert "hunter2" not in told
    assert len(told) < 64 * 1024
    assert {"status", "versions", "settings", "counters", "threads"} <= json.loads(told).keys()


def test_a_model_without_an_address_has_nothing_to_go_back_to(module: Module) -> None:
    assert "no bundle" in module.ask("rollback", {"model": "default"}, status=404)["error"]
    assert module.ask("rollback", {"model": "gone"}, status=404)
    assert module.ask("swapModel", {"model": "default"})["state"] == "active"


def test_facts_are_reported_and_patched_only_where_they_change(module: Module) -> None:
    wait_until(lambda: "module" in module.hub.reported, "the facts")
    reported = module.hub.reported
    assert reported["module"]["desired_version"] == 1
    assert reported["connectivity"]["state"] == "online"
    assert reported["model"]["bundles"]["default"]["active"].endswith("pcb-defects")
    assert json.dumps(reported)


def test_a_setting_that_waits_for_the_next_start_is_answered_202_with_its_name(
    module: Module,
) -> None:
    module.hub.patch_desired({"inference": {"workers": 7}, "log": {"level": "INFO"}})
    wait_until(lambda: "inference" in module.hub.reported, "the answer")
    answer = module.hub.reported["inference"]
    assert (answer["ac"], answer["value"]) == (202, {"workers": 7})
    assert "inference.workers" in answer["ad"]
    assert module.hub.reported["log"]["ac"] == 200


def test_a_camera_whose_secret_is_missing_is_refused_by_the_name_of_the_secret(
    module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "rtsp://admin:${env:YARD_PASSWORD}@127.0.0.1:9/x"
    module.hub.patch_desired({"cameras": {"yard": {"kind": "stream", "url": url}}})
    wait_until(lambda: "cameras" in module.hub.reported, "the refusal")
    assert module.hub.reported["cameras"]["ac"] == 400
    assert "YARD_PASSWORD" in module.hub.reported["cameras"]["ad"]
    monkeypatch.setenv("YARD_PASSWORD", "hunter2")
    module.hub.patch_desired({"log": {"level": "DEBUG"}})
    wait_until(lambda: "yard" in module.app.settings.cameras, "the camera")
    assert "hunter2" not in json.dumps(module.hub.reported)
    assert "hunter2" not in json.dumps(module.ask("diagnostics"))


def test_the_last_good_settings_are_used_while_the_hub_is_away(
    module: Module, tmp_path: Path
) -> None:
    module.hub.patch_desired({"decision": {"accept": 0.33}})
    wait_until(lambda: module.app.settings.decision.accept == 0.33, "the patch")
    module.hub.patch_desired({"decision": {"accept": 33}})
    wait_until(lambda: module.hub.reported.get("decision", {}).get("ac") == 400, "the refusal")
    module.app.stop(3)
    module.hub.cut()
    again = App([busy_line(tmp_path)], environment=os.environ)
    assert again.settings.decision.accept == 0.33
    again.start()
    # The document that the hub still has is bad; the good one before it stays in use.
    module.hub.restore()
    wait_until(lambda: again.metrics.value("visionedge_twin_patches_total") >= 1, "the refusal")
    assert again.settings.decision.accept == 0.33
    again.stop(3)


def test_a_person_settles_a_doubt_once_and_the_cloud_comes_too_late(module: Module) -> None:
    module.ask("captureNow", {"camera": "line-1"})
    wait_until(lambda: bool(module.app.recent()), "an escalation")
    id_ = module.app.recent()[0].escalation_id
    word = {"escalation_id": id_, "word": "rejected", "by": "shift 2"}
    assert module.ask("operatorVerdict", word)["status"] == "merged"
    assert module.ask("operatorVerdict", word)["status"] == "duplicate"
    assert module.ask("verdictQuery", {"escalation_id": id_})["state"] == "settled"
    late = {
        "verdict_id": "v",
        "escalation_id": id_,
        "verified_at": "2026-05-04T12:00:00Z",
        "verifier": {"name": "cloud"},
    }
    answered = module.ask("applyVerdict", {"verdicts": [late]})["results"]
    assert [each["status"] for each in answered] == ["duplicate"]
    assert module.app.metrics.counts("visionedge_resolutions_total", "outcome") == {"rejected": 1}
    unknown = {"escalation_id": "nobody", "word": "confirmed"}
    assert module.ask("operatorVerdict", unknown)["status"] == "unknown"
    refused = module.ask("operatorVerdict", {**word, "word": "perhaps"}, status=400)
    assert list(refused["fields"]) == ["word"]
