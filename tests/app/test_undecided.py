"""A camera whose every frame fails is shown, and told once; a frame now and then is not."""

from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until

from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.settings import resolve
from visionedge.undecided import UNDECIDED, UndecidedWatch


class Line:
    """Two cameras, of which one is looked at with or without success."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = FakeClock()
        self.told: list[tuple[str, int]] = []
        self.watch = UndecidedWatch(self.metrics, lambda *each: self.told.append(each), self.clock)

    def go_on(self, seconds: int, *, decided: int = 0, failed: int = 0) -> None:
        for _ in range(seconds):
            self.metrics.frames_processed.labels("line-1").inc(decided)
            self.metrics.frames_dropped.labels("line-1", "model_error").inc(failed)
            self.metrics.frames_processed.labels("line-2").inc(10)
            self.metrics.frames_dropped.labels("line-2", "replaced").inc(5)
            self.clock.advance(1)
            self.watch.look()

    def shown(self, state: str = "running") -> dict[str, str]:
        return self.watch.shown({"line-2": "running", "line-1": state})


def test_a_camera_whose_every_frame_fails_is_shown_first_and_told_once() -> None:
    line = Line()
    line.go_on(20, failed=3)
    assert line.told == [("line-1", 15)]
    assert list(line.shown().items()) == [("line-1", UNDECIDED), ("line-2", "running")]


def test_it_is_told_when_a_frame_is_decided_on_again() -> None:
    line = Line()
    line.go_on(10, failed=3)
    line.go_on(10, decided=1, failed=3)
    assert line.told == [("line-1", 15), ("line-1", 0)]
    assert line.shown() == {"line-1": "running", "line-2": "running"}


def test_a_camera_that_gives_nothing_any_more_is_what_its_feed_says() -> None:
    line = Line()
    line.go_on(10, failed=3)
    line.go_on(10)
    assert line.shown("lost")["line-1"] == "lost"
    assert line.shown()["line-1"] == UNDECIDED


def test_a_frame_now_and_then_is_no_news() -> None:
    line = Line()
    line.go_on(30, decided=20, failed=2)
    assert line.told == []
    assert line.shown()["line-1"] == "running"


def test_a_frame_now_and_then_of_a_slow_camera_is_no_news() -> None:
    line = Line()
    for _ in range(10):
        for _ in range(8):
            line.go_on(1, decided=1)
            line.go_on(59)
        for _ in range(2):
            line.go_on(1, failed=1)
            line.go_on(59)
    assert line.told == []
    assert line.shown()["line-1"] == "running"


def test_a_slow_camera_whose_every_frame_fails_is_shown_after_several() -> None:
    line = Line()
    line.go_on(60, decided=1)
    for _ in range(5):
        line.go_on(1, failed=1)
        line.go_on(59)
    assert line.told == [("line-1", 3)]
    assert line.shown()["line-1"] == UNDECIDED


@pytest.mark.slow
def test_too_many_tiles_are_shown_until_they_are_fewer(tmp_path: Path) -> None:
    tiles = {"width_px": 64, "height_px": 64, "overlap": 0.9}
    with running(busy_line(tmp_path, cameras={"line-1": {"tiles": tiles}})) as app:
        wait_until(lambda: app.status()["cameras"] == {"line-1": UNDECIDED}, "undecided")
        assert app.facts()["camera"]["states"] == {"line-1": UNDECIDED}
        app.apply(resolve([busy_line(tmp_path)]))
        wait_until(lambda: app.status()["cameras"] == {"line-1": "running"}, "running")
