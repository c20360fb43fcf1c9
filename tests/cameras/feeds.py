"""One feed on fake cameras, with everything that a test wants to look at."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.cameras import DEADLINE_S, FakeCamera, States

from visionedge.cameras.feed import CameraFeed, MakeSource
from visionedge.cameras.source import CameraSource
from visionedge.entities import Frame
from visionedge.metrics import Metrics
from visionedge.runtime.backoff import Backoff
from visionedge.runtime.clock import Clock
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import CameraSettings, StreamCamera

NAME: Final = "line-1"


class FeedBench:
    """A feed whose sources are handed out in order, the last one for ever."""

    def __init__(
        self,
        *cameras: FakeCamera,
        settings: CameraSettings | None = None,
        make: MakeSource | None = None,
        clock: Clock | None = None,
        slack_s: float = DEADLINE_S,
        pause_s: float = 0.0,
    ) -> None:
        self.metrics = Metrics()
        self.slots = LatestSlots[Frame]()
        self.states = States()
        self.cameras = cameras
        self._next = iter(cameras)
        self.feed = CameraFeed(
            NAME,
            settings or StreamCamera(kind="stream", url="rtsp://camera/line"),
            self.slots,
            self.metrics,
            on_state=self.states,
            make=make or self._make,
            clock=clock,
            backoff=Backoff(first_s=pause_s, max_s=pause_s),
            slack_s=slack_s,
        )

    def take(self) -> Frame:
        """The next frame that the feed gives."""
        frame = self.slots.take(DEADLINE_S)
        assert frame is not None, f"no frame came: {self.states.seen}"
        return frame

    def dropped(self, cause: str) -> int:
        return self.metrics.counts("visionedge_frames_dropped_total", "cause").get(cause, 0)

    def value(self, name: str) -> float:
        return self.metrics.value(f"visionedge_{name}", {"camera": NAME})

    def wait_until_stuck(self) -> None:
        """Wait until the feed asks for a restart of the process."""
        self._wait_until(lambda: bool(self.feed.stuck))

    def wait_until_counted(self, frames: int) -> None:
        """Wait until the feed has counted so many frames."""
        self._wait_until(lambda: self.value("frames_captured_total") >= frames)

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        ticks = threading.Event()
        for _ in range(1000):
            if holds():
                return
            ticks.wait(DEADLINE_S / 1000)
        raise AssertionError(f"{self.feed.abandoned} threads were given up: {self.states.seen}")

    def _make(self, settings: CameraSettings, halt: threading.Event) -> CameraSource:
        return next(self._next, self.cameras[-1])


@contextmanager
def started(bench: FeedBench) -> Iterator[FeedBench]:
    """The bench with its feed running, stopped at the end."""
    bench.feed.start()
    with stopped_after(bench):
        yield bench


@contextmanager
def stopped_after(bench: FeedBench) -> Iterator[FeedBench]:
    """The bench, whose feed is stopped at the end."""
    try:
        yield bench
    finally:
        for camera in bench.cameras:
            camera.let_go()
            camera.end()
        bench.feed.stop(DEADLINE_S)
