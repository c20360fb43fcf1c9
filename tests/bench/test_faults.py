"""Frames a second as the page of a module tells them, and what a row of the table makes of them."""

import time
from collections.abc import Iterator

import pytest
from bench.faults import FaultRow, rate_of, row_of
from bench.report import Unavailable

from bench import faults
from visionedge.runtime.http import HttpServer, Response

FPS = 50.0


class Module:
    """Says that it processes so many frames a second, on two cameras."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.fps = FPS

    def page(self) -> Response:
        frames = int((time.monotonic() - self.began_s) * self.fps)
        text = (
            "# TYPE visionedge_frames_processed_total counter\n"
            f'visionedge_frames_processed_total{{camera="a",model="m"}} {frames}.0\n'
            'visionedge_frames_processed_total{camera="b",model="m"} 7.0\n'
            "visionedge_frames_processed_created 1.7e9\n"
        )
        return Response(text.encode(), "text/plain")


@pytest.fixture
def module() -> Module:
    return Module()


@pytest.fixture
def page(module: Module) -> Iterator[str]:
    server = HttpServer("127.0.0.1", 0, {"/metrics": module.page})
    server.start()
    yield f"http://127.0.0.1:{server.port}/metrics"
    server.stop(5)


def test_frames_are_counted_from_one_to_another(page: str) -> None:
    assert rate_of(page, 0.4) == pytest.approx(FPS, rel=0.2)


def test_a_line_that_stands_is_said_so(
    page: str, module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_ASK_S", 0.2)
    module.fps = 0
    with pytest.raises(Unavailable, match=r"the line stands: no frame in 0\.2 s"):
        rate_of(page, 0.1)


def test_a_row_holds_medians_of_ratios_within_a_round() -> None:
    turns = [(10.0, 9.0, 10.0), (20.0, 20.0, 10.0), (10.0, 10.0, 10.0)]
    assert row_of("latency", turns) == FaultRow("latency", 10.0, 1.0, 0.9, 1.0, 3)
