"""A camera whose calls do not return: unhealthy, then well again or a new process."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cameras.feeds import NAME, FeedBench, started
from tests.support.cameras import DEADLINE_S, FakeCamera, picture

from visionedge.app import App
from visionedge.cameras.feed import MAX_PARKED
from visionedge.errors import EXIT_OK, EXIT_STUCK
from visionedge.page import page_routes
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.watch import EXIT_AFTER_S

TICK_S = 5.0


class Line:
    """The module with one camera, whose calls are all parked, in time that it makes itself."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cameras = [FakeCamera(timeout_s=0.02) for _ in range(MAX_PARKED)]
        for camera in self.cameras:
            camera.hang("open")
        self.spare = FakeCamera(picture(7))
        self.bench = FeedBench(*self.cameras, self.spare, clock=self.clock, slack_s=0.1)
        self.app = App([{"cameras": {}}], {}, clock=self.clock)
        self.app.lineup.feeds[NAME] = self.bench.feed
        self.began_ns = self.clock.ns()

    @property
    def passed_s(self) -> float:
        return (self.clock.ns() - self.began_ns) / 1e9

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /healthz."""
        response = page_routes(self.app)["/healthz"]()
        return response.status, json.loads(response.body)


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    with started(line.bench):
        line.bench.wait_until_stuck()
        yield line
        line.app.stop(0)


def test_a_stuck_camera_is_unhealthy_first_and_ends_the_process_only_if_it_stays_so(
    line: Line,
) -> None:
    seen = []

    def tick() -> None:
        seen.append(line.health())
        line.clock.advance(TICK_S)

    assert line.app.wait(threading.Event(), every_s=0.001, tick=tick) == EXIT_STUCK
    assert EXIT_AFTER_S <= line.passed_s <= EXIT_AFTER_S + 2 * TICK_S
    assert {status for status, _ in seen} == {503}
    assert len(seen) > EXIT_AFTER_S / TICK_S
    status, body = seen[-1]
    assert not body["healthy"]
    [reason] = body["stuck"]
    assert reason.startswith(f"camera {NAME}: {MAX_PARKED} calls have not returned, the first for ")
    assert "; the process ends in " in reason


def test_a_camera_whose_call_comes_back_is_healthy_again_and_nothing_ends(line: Line) -> None:
    seen: list[int] = []
    well, stop = threading.Event(), threading.Event()

    def tick() -> None:
        status, body = line.health()
        assert body["healthy"] == (status == 200)
        seen.append(status)
        line.clock.advance(1)
        if len(seen) == 20:
            line.cameras[1].let_go()
        if status == 200:
            well.set()

    code: list[int] = []
    waiting = threading.Thread(
        target=lambda: code.append(line.app.wait(stop, every_s=0.001, tick=tick))
    )
    waiting.start()
    assert well.wait(DEADLINE_S)
    assert int(line.bench.take().image[0, 0, 0]) == 7
    stop.set()
    waiting.join(DEADLINE_S)
    assert code == [EXIT_OK]
    assert seen[:20] == [503] * 20
