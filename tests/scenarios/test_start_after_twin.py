"""What a twin asked for shows at the next start only, and must not be the last start."""

import json
import socket
from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until

from visionedge.settings import LAST_GOOD_NAME

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
