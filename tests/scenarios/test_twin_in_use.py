"""A setting changed from the cloud, while the line runs."""

import time
from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until

from devhub import DevHub
from visionedge.app import App

pytestmark = pytest.mark.timeout(120)


def acknowledged(hub: DevHub, section: str, version: int) -> bool:
    return bool(hub.reported.get(section, {}).get("av") == version)


def lost_frames(app: App) -> dict[str, int]:
    """Frames that were dropped for any reason but a newer one, which is the design."""
    counts = app.metrics.counts("visionedge_frames_dropped_total", "cause")
    return {cause: n for cause, n in counts.items() if cause != "replaced" and n}


def test_a_threshold_acts_within_a_second_and_is_acknowledged(
    devhub: DevHub, tmp_path: Path
) -> None:
    with running(busy_line(tmp_path)) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        wait_until(lambda: app.metrics.value("visionedge_frames_processed_total") > 3, "frames")
        began = time.monotonic()
        version = devhub.patch_desired({"decision": {"accept": 0.3}})
        wait_until(lambda: app.settings.decision.accept == 0.3, "the threshold is in use")
        assert time.monotonic() - began < 1.0
        wait_until(lambda: acknowledged(devhub, "decision", version), "the acknowledgement")
        assert devhub.reported["decision"] == {"value": {"accept": 0.3}, "ac": 200, "av": version}
        before = app.metrics.value("visionedge_frames_processed_total")
        wait_until(
            lambda: app.metrics.value("visionedge_frames_processed_total") > before + 5,
            "frames go on",
        )
        assert lost_frames(app) == {}
        assert app.revision == 2


def test_a_bad_patch_is_refused_field_by_field_and_the_old_settings_stay(
    devhub: DevHub, tmp_path: Path
) -> None:
    with running(busy_line(tmp_path)) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        version = devhub.patch_desired(
            {"decision": {"accept": 7}, "escalation": {"ttl_s": "soon", "speed": 1}}
        )
        wait_until(lambda: acknowledged(devhub, "escalation", version), "the refusal")
        decision, escalation = devhub.reported["decision"], devhub.reported["escalation"]
        assert (decision["ac"], decision["value"]) == (400, {"accept": 1.0})
        assert "decision.accept" in decision["ad"]
        assert escalation["ac"] == 400
        assert "escalation.ttl_s" in escalation["ad"]
        assert "escalation.speed" in escalation["ad"]
        assert app.settings.decision.accept == 1.0
        assert app.revision == 1


def test_a_model_that_does_not_load_is_refused_and_the_old_one_goes_on(
    devhub: DevHub, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"<html>404 Not Found</html>")
    with running(busy_line(tmp_path)) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        version = devhub.patch_desired({"models": {"default": {"path": str(broken)}}})
        wait_until(lambda: acknowledged(devhub, "models", version), "the refusal")
        assert devhub.reported["models"]["ac"] == 400
        assert "broken.onnx" in devhub.reported["models"]["ad"]
        before = app.metrics.value("visionedge_frames_processed_total")
        wait_until(
            lambda: app.metrics.value("visionedge_frames_processed_total") > before + 5,
            "frames go on",
        )
        assert lost_frames(app) == {}


def test_a_camera_is_added_and_removed_by_patch(devhub: DevHub, tmp_path: Path) -> None:
    with running(busy_line(tmp_path)) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        devhub.patch_desired({"cameras": {"line-2": {"kind": "pattern", "fps": 5, "seed": 9}}})
        wait_until(
            lambda: (
                app.metrics.value("visionedge_frames_processed_total", {"camera": "line-2"}) > 2
            ),
            "frames of the new camera",
        )
        kept = app.lineup.feeds["line-1"]
        devhub.patch_desired({"cameras": {"line-2": None}})
        wait_until(lambda: list(app.lineup.feeds) == ["line-1"], "the camera is gone")
        assert app.lineup.feeds["line-1"] is kept


def test_a_twin_cannot_take_the_module_away_from_its_hub(devhub: DevHub, tmp_path: Path) -> None:
    with running(busy_line(tmp_path)) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        version = devhub.patch_desired({"uplink": {"kind": "local"}})
        wait_until(lambda: acknowledged(devhub, "uplink", version), "the refusal")
        assert devhub.reported["uplink"]["ac"] == 400
        assert "would not connect any more" in devhub.reported["uplink"]["ad"]
        assert app.settings.uplink.kind == "auto"
        version = devhub.patch_desired({"uplink": {"kind": "azure"}})
        wait_until(lambda: acknowledged(devhub, "uplink", version), "the answer")
        assert devhub.reported["uplink"]["ac"] == 202


def test_a_frame_that_was_asked_of_a_camera_is_not_asked_of_the_next_by_its_name(
    devhub: DevHub, tmp_path: Path
) -> None:
    with running(busy_line(tmp_path)) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        devhub.patch_desired({"cameras": {"x": {"kind": "file", "path": "/nowhere"}}})
        wait_until(lambda: "x" in app.lineup.feeds, "a camera that gives nothing")
        assert devhub.invoke_method("captureNow", {"camera": "x"}).status == 200
        devhub.patch_desired({"cameras": {"x": None}})
        wait_until(lambda: "x" not in app.lineup.feeds, "the camera is gone")
        devhub.patch_desired({"cameras": {"x": {"kind": "pattern", "fps": 10}}})
        wait_until(
            lambda: app.metrics.value("visionedge_frames_processed_total", {"camera": "x"}) > 5,
            "frames of another camera",
        )
        asked = {"camera": "x", "reason": "requested"}
        assert app.metrics.value("visionedge_decisions_total", asked) == 0
