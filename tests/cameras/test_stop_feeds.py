"""Many cameras end together: one that hangs takes no time from the others."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from tests.support.cameras import DEADLINE_S, FakeCamera, picture

from visionedge.cameras.feed import CameraFeed
from visionedge.cameras.feeds import stop_feeds
from visionedge.cameras.source import Traits
from visionedge.entities import Frame, Image
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import PatternCamera


class Parked:
    """A source whose driver does not come back until the test is over."""

    traits = Traits(open_timeout_s=60, read_timeout_s=60, live=True)

    def __init__(self, opening: threading.Barrier, over: threading.Event) -> None:
        self._opening = opening
        self._over = over

    def open(self) -> None:
        self._opening.wait(30)
        self._over.wait(60)

    def grab(self) -> None:
        """Never reached."""

    def retrieve(self) -> tuple[Image, None]:
        return np.zeros((1, 1, 3), np.uint8), None

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_feed_that_ends_late_says_nothing_of_the_camera_in_its_place() -> None:
    metrics, slots = Metrics(), LatestSlots[Frame]()
    stalled, good = FakeCamera(), FakeCamera(picture(1), picture(2))
    stalled.hang("open")
    old = CameraFeed("c", PatternCamera(), slots, metrics, make=lambda *_: stalled).start()
    stalled.wait_until("hung")
    assert not old.stop(0.0)
    new = CameraFeed("c", PatternCamera(), slots, metrics, make=lambda *_: good).start()
    assert slots.take(DEADLINE_S) is not None
    stalled.let_go()
    assert old._worker.join(DEADLINE_S)
    assert metrics.value("visionedge_camera_up", {"camera": "c"}) == 1
    good.end()
    new.stop(DEADLINE_S)


def test_all_cameras_are_told_to_end_before_any_is_waited_for(over: threading.Event) -> None:
    opening = threading.Barrier(6)
    feeds = [
        CameraFeed(
            f"c{n}",
            PatternCamera(),
            LatestSlots(),
            Metrics(),
            make=lambda *_: Parked(opening, over),
        ).start()
        for n in range(5)
    ]
    opening.wait(30)
    told: list[bool] = []

    class Watched:
        """The first to be waited for, which sees how it is with the others then."""

        state, stuck = None, ""

        def start(self) -> "Watched":
            return self

        def pause(self) -> None:
            """Not asked."""

        def resume(self) -> None:
            """Not asked."""

        def request_stop(self) -> None:
            """Told with the others."""

        def stop(self, timeout_s: float) -> bool:
            told.append(all(feed._worker.stopping for feed in feeds))
            return True

    stop_feeds([Watched(), *feeds], 0.5)
    assert told == [True]
