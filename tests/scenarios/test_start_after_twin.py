"""What a twin asked for shows at the next start only, and must not be the last start."""

import json
import socket
from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until

from visionedge.settings import LAST_GOOD_NAME, resolve

pytestmark = pytest.mark.timeout(120)


def test_a_port_of_the_twin_that_is_taken_does_not_keep_the_module_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        desired = {"http": {"port": other.getsockname()[1]}}
        kept = json.dumps({"version": 3, "desired": desired})
        (tmp_path / LAST_GOOD_NAME).write_text(kept, encoding="utf-8")
        with running(busy_line(tmp_path)) as app:
            wait_until(lambda: app.metrics.value("visionedge_frames_processed_total") > 0, "frames")
    assert "the page cannot be where the twin has it" in capsys.readouterr().err


def test_what_a_start_without_the_twin_did_not_take_is_said_to_wait(tmp_path: Path) -> None:
    desired = {"models": {"default": {"path": str(tmp_path / "gone")}}, "inference": {"workers": 1}}
    kept = json.dumps({"version": 3, "desired": desired})
    (tmp_path / LAST_GOOD_NAME).write_text(kept, encoding="utf-8")
    document = busy_line(tmp_path, inference={"workers": 2})
    with running(document) as app:
        app.apply(resolve([document, {"inference": {"workers": 1}}]))
        assert [end.reason for end in app.open_ends()] == [
            "inference.workers takes effect at the next start"
        ]


def test_a_port_that_could_not_be_taken_is_said_to_wait(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        desired = {"http": {"port": other.getsockname()[1]}}
        kept = json.dumps({"version": 3, "desired": desired})
        (tmp_path / LAST_GOOD_NAME).write_text(kept, encoding="utf-8")
        with running(busy_line(tmp_path)) as app:
            assert [end.section for end in app.open_ends()] == ["http"]
