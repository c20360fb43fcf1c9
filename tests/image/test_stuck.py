"""A camera whose calls never return: unhealthy with the reason, then well again or at an end.

The camera is a named pipe that nobody writes to: the kernel parks whoever opens it, inside
OpenCV, where no signal of ours and no deadline of its own reaches it. Two modules wait side by
side, because it takes three calls of half a minute until one is stuck.
"""

import json
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cameras.videos import write_video
from tests.image.conftest import MODULE_USER
from tests.image.create_options import limits
from tests.image.podman import AMD64, Container
from tests.support.running import wait_until

from visionedge.errors import EXIT_STUCK

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]
CAMERA = "--env=VISIONEDGE__CAMERAS=" + json.dumps(
    {"line-1": {"kind": "file", "path": "/data/belt.avi"}}
)
STUCK_S = 240.0
ENDED_S = 240.0


class Line:
    """A module with a camera that parks its calls, until it is let go."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        folder.mkdir()
        self._video = write_video(folder / "later.avi", count=50)
        self._path = folder / "belt.avi"
        self._pipe = folder / "pipe"
        os.mkfifo(self._path)
        os.link(self._path, self._pipe)
        for path in (folder, self._video, self._path):
            os.chown(path, MODULE_USER, MODULE_USER)
        self.container = Container(AMD64, ["--network=none", *limits(options, folder), CAMERA])

    def health(self) -> dict[str, Any]:
        """The body of /healthz; empty while the page is not up."""
        body = self.container.page("/healthz")
        found: dict[str, Any] = json.loads(body) if body else {}
        return found

    def stands(self, *, healthy: bool) -> bool:
        """True if the page says so."""
        return self.health().get("healthy") is healthy

    def let_go(self) -> None:
        """The parked calls return, and whoever opens the camera now finds a video."""
        self._video.replace(self._path)
        os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_a_camera_thread_that_is_stuck_is_unhealthy_and_then_recovers_or_ends_the_process(
    options: dict[str, Any], tmp_path: Path
) -> None:
    options["Healthcheck"]["StartPeriod"] = 0
    spared, left = Line(tmp_path / "spared", options), Line(tmp_path / "left", options)
    with ExitStack() as stack:
        stack.enter_context(spared.container)
        stack.enter_context(left.container)
        wait_until(lambda: bool(left.health()), "the page is up", 60)
        assert left.container.count("visionedge_camera_up") == 0
        for line in (spared, left):
            wait_until(partial(line.stands, healthy=False), "unhealthy", STUCK_S)
            [reason] = line.health()["stuck"]
            assert reason.startswith("camera line-1: 3 calls have not returned, the first for ")
            assert "; the process ends in " in reason
            for _ in range(options["Healthcheck"]["Retries"]):
                assert not line.container.healthy()
            assert line.container.health() == "unhealthy"
        spared.let_go()
        wait_until(partial(spared.stands, healthy=True), "healthy again", 60)
        assert spared.container.healthy()
        assert spared.container.health() == "healthy"
        wait_until(lambda: spared.container.count("visionedge_camera_up") == 1, "it runs", 60)
        assert left.container.wait(timeout_s=ENDED_S) == EXIT_STUCK
        log = left.container.log()
        assert "a call did not return" in log
        assert "camera line-1 is stuck: 3 calls have not returned" in log
        assert "stuck, the process ends to be restarted: camera line-1" in log
        assert "camera line-1 is not stuck any more" in spared.container.log()
        assert spared.container.state()["Status"] == "running"
