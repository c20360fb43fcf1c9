"""Frames a second as the page of a module tells them, and what a row of the table makes of them."""

import time
from collections.abc import Iterator

import pytest
from bench.faults import FaultRow, Turn, rows_of, turn_of
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
            f'visionedge_frames_dropped_total{{camera="a",cause="replaced"}} {frames // 4}.0\n'
            f'visionedge_frames_dropped_total{{camera="a",cause="rate"}} {frames}.0\n'
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


def test_frames_are_counted_from_one_to_another_and_those_replaced_beside(page: str) -> None:
    turn = turn_of(page, 0.4)
    assert turn.fps == pytest.approx(FPS, rel=0.2)
    assert turn.decided == pytest.approx(0.8, abs=0.05)


def test_a_line_that_stands_is_said_so(
    page: str, module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_ASK_S", 0.2)
    module.fps = 0
    with pytest.raises(Unavailable, match=r"the line stands: no frame in 0\.2 s"):
        turn_of(page, 0.1)


def test_a_row_is_compared_with_all_turns_without_a_fault() -> None:
    calm = (Turn(10.0, 1.0), Turn(10.0, 1.0))
    slow = [(Turn(fps, share), Turn(9.0, 1.0)) for fps, share in ((5, 0.5), (9, 0.9), (10, 1))]
    first, second = rows_of({"nothing": [calm] * 5, "latency": slow})
    assert first == FaultRow("nothing", 1.0, 1.0, 1.0, 1.0, 5)
    assert second == FaultRow("latency", 0.9, 0.5, 0.9, 0.9, 3)
