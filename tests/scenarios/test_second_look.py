"""A second look on the device, with real models: what it settles, and what it says in a message."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.running import BUNDLE, busy_line, running, wait_until

from visionedge.app import App
from visionedge.errors import SettingsError


def escalations(folder: Path) -> list[dict[str, Any]]:
    """What was sent: messages of the local hub."""
    files = sorted((folder / "outbox").glob("escalation-*.jsonl"))
    return [
        json.loads(line)["body"] for file in files for line in file.read_text("utf-8").splitlines()
    ]


def looks(app: App) -> dict[str, int]:
    return app.metrics.counts("visionedge_second_looks_total", "result")


def test_a_second_model_says_what_holds_and_the_message_tells(tmp_path: Path) -> None:
    line = busy_line(
        tmp_path,
        models={"default": {"path": BUNDLE}, "large": {"path": BUNDLE, "nms_iou": 0.5}},
        decision={"accept": 0.99, "provisional": "second_model"},
        escalation={
            "second": {"enabled": False, "model": "large", "settles": 0},
            "control_per_hour": 0,
        },
        uplink={"kind": "local"},
    )
    with running(line) as app:
        wait_until(lambda: len(escalations(tmp_path)) >= 2, "messages with a second opinion", 60)
        assert set(app.lineup.models) == {"default", "large"}
        assert sum(looks(app).values()) >= 2
    sent = escalations(tmp_path)
    assert {message["provisional"] for message in sent} == {"second_model"}
    seen = [message["second_look"] for message in sent if "second_look" in message]
    assert seen
    # It is the same model here, so it says the same of the same picture.
    assert {look["by"] for look in seen} == {"pcb-defects"}
    assert all(look["agrees"] for look in seen)
    assert all(look["prediction"]["task"] == "detection" for look in seen)


def test_mirror_images_settle_some_doubts_and_the_line_does_not_wait(tmp_path: Path) -> None:
    line = busy_line(
        tmp_path,
        decision={"accept": 0.5},
        escalation={"second": {"settles": 1.0, "confident_share": 0.5}, "control_per_hour": 0},
        uplink={"kind": "local"},
    )
    with running(line) as app:
        dropped = "visionedge_escalations_dropped_total"
        wait_until(
            lambda: app.metrics.value(dropped, {"cause": "second_look"}) >= 1,
            "a doubt that was settled on the device",
            60,
        )
        wait_until(lambda: looks(app).get("agreed", 0) >= 3, "confident frames as well", 60)
        assert app.metrics.value("visionedge_frames_processed_total") > sum(looks(app).values())
        assert not app.metrics.value("visionedge_worker_crashes_total")
    assert all(m.get("second_look", {}).get("by") != "pcb-defects" for m in escalations(tmp_path))


def test_a_second_model_that_is_not_there_is_refused_by_its_field(tmp_path: Path) -> None:
    line = busy_line(tmp_path, escalation={"second": {"model": "larger"}})
    with pytest.raises(SettingsError) as refused:
        App([line], environment={})
    reason = "there is no model `larger` in `models`"
    assert refused.value.fields == {"escalation.second.model": reason}
