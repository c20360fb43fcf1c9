"""A camera whose calls never return ends the process, so that edgeAgent starts a new one.

The camera is a named pipe that nobody writes to: the kernel parks whoever opens it, inside
OpenCV, where no signal of ours and no deadline of its own reaches it.
"""

import json
import os
from pathlib import Path

import pytest
from tests.image.conftest import MODULE_USER
from tests.image.podman import AMD64, Container
from tests.support.running import wait_until

from visionedge.errors import EXIT_STUCK

pytestmark = [pytest.mark.image, pytest.mark.timeout(400)]


def test_a_camera_thread_that_is_stuck_is_told_and_ends_the_process(
    flags: list[str], data: Path
) -> None:
    pipe = data / "belt.mp4"
    os.mkfifo(pipe)
    os.chown(pipe, MODULE_USER, MODULE_USER)
    camera = json.dumps({"line-1": {"kind": "file", "path": "/data/belt.mp4"}})
    with Container(AMD64, [*flags, f"--env=VISIONEDGE__CAMERAS={camera}"]) as module:
        wait_until(lambda: module.page("/healthz") != "", "the page is up", 60)
        assert module.count("visionedge_camera_up") == 0
        assert module.wait(timeout_s=240) == EXIT_STUCK
        log = module.log()
        assert "a call did not return" in log
        assert "stuck, the process ends to be restarted: camera line-1" in log
