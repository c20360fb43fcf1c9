"""What becomes of doubts that are overtaken: by somebody's request, and by the end."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.predictions import frame

from visionedge.entities import Frame, Kind, SecondOpinion
from visionedge.errors import ModelRunError
from visionedge.escalation.snapshot import Snapshots
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.pipeline import Pipeline
from visionedge.runtime.clock import SystemClock
from visionedge.runtime.slot import LatestSlots
from visionedge.second_look import Second
from visionedge.settings import resolve
from visionedge.telemetry import Telemetry
from visionedge.uplink.spool import Spool

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
BOARD = np.asarray(cv2.imread(str(min((BUNDLE / "golden").glob("*.jpg")))), np.uint8)


class Line:
    """A pipeline whose threads are not started, and that doubts all that it sees."""

    def __init__(self, folder: Path, *, second: bool) -> None:
        slots, self.metrics = LatestSlots[Frame](), Metrics()
        self.lineup = Lineup(slots, self.metrics, lambda *_: None)
        document = {
            "cameras": {"a": {"kind": "input"}},
            "models": {"default": {"path": str(BUNDLE)}},
            "decision": {"accept": 1.0},
            "escalation": {
                "second": {"enabled": second},
                "min_interval_s": 0,
                "view_wait_s": 0,
            },
        }
        prepared = self.lineup.prepare(resolve([document]), 1)
        self.spool = Spool(folder / "s.db", max_bytes=10**7, max_age_s=60, metrics=self.metrics)
        telemetry = Telemetry(SystemClock().utc())
        self.pipeline = Pipeline(
            prepared.wiring, slots, self.spool, telemetry, self.metrics, workers=1, queue=16
        )
        self.lineup.swap(prepared)

    def shows(self, seconds: float) -> None:
        self.pipeline.answer_for(frame(BOARD, camera_id="a", captured_s=seconds))


@pytest.fixture
def line(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Line]:
    line = Line(tmp_path, second=request.param)
    yield line
    line.lineup.stop(2)
    line.spool.close()


def decisions(line: Line) -> dict[str, int]:
    return line.metrics.counts("visionedge_decisions_total", "reason")


@pytest.mark.parametrize("line", [False], indirect=True)
def test_what_a_requested_frame_showed_first_is_asked_about_by_a_later_one(line: Line) -> None:
    """The request takes the place of the question that the frame has opened."""
    line.pipeline.request("a")
    for second in range(3):
        line.shows(100.0 + second)
    told = decisions(line)
    assert told["requested"] == 1
    assert sum(told.values()) == 3
    asked = line.metrics.counts("visionedge_decisions_total", "action")["escalate"]
    assert asked == 2, told


@pytest.mark.parametrize("line", [True], indirect=True)
def test_doubts_that_the_end_overtakes_are_counted_and_not_waited_for(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.shows(100.0)
    line.pipeline._encode_next()
    assert len(line.pipeline._seconds._waiting) == 1
    monkeypatch.setattr(Spool, "put", lambda *_: pytest.fail("no time is left"))
    line.pipeline.stop(0)
    dropped = line.metrics.counts("visionedge_escalations_dropped_total", "cause")
    assert dropped["stopped"] == 1


@pytest.mark.parametrize("line", [True], indirect=True)
def test_a_doubt_whose_second_look_is_late_at_the_end_is_kept_without_it(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, goes_on = threading.Event(), threading.Event()

    def late(*_: object) -> SecondOpinion:
        looks.set()
        goes_on.wait(20)
        raise ModelRunError("late")

    monkeypatch.setattr(Second, "look", late)
    line.shows(100.0)
    line.pipeline._encode_next()
    second = line.pipeline._seconds.worker.start()
    assert looks.wait(20)
    line.pipeline.stop(1)
    assert line.spool.backlog()[Kind.ESCALATION].messages == 1
    goes_on.set()
    second.join(20)
    assert line.spool.backlog()[Kind.ESCALATION].messages == 1
    assert not line.metrics.counts("visionedge_escalations_dropped_total", "cause")


@pytest.mark.parametrize("line", [True], indirect=True)
def test_a_doubt_is_kept_where_its_second_look_crashes(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> SecondOpinion:
        raise ValueError("nobody foresaw it")

    monkeypatch.setattr(Second, "look", crash)
    line.shows(100.0)
    line.pipeline._encode_next()
    with pytest.raises(ValueError, match="nobody foresaw it"):
        line.pipeline._seconds._look_at_next()
    assert line.spool.backlog()[Kind.ESCALATION].messages == 1


@pytest.mark.parametrize("line", [True], indirect=True)
def test_the_end_waits_for_a_doubt_that_is_being_kept(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    makes, never, make = threading.Event(), threading.Event(), Snapshots.make

    def slowly(*args: Any) -> Any:  # noqa: ANN401 - as that of the snapshots
        makes.set()
        never.wait(0.8)
        return make(*args)

    monkeypatch.setattr(Snapshots, "make", slowly)
    line.shows(100.0)
    line.pipeline._encode_next()
    line.pipeline._seconds.worker.start()
    assert makes.wait(20)
    # Half of it is over before the picture is made.
    line.pipeline.stop(1.5)
    assert line.spool.backlog()[Kind.ESCALATION].messages == 1


@pytest.mark.parametrize("line", [True], indirect=True)
def test_a_doubt_that_cannot_be_kept_at_the_end_is_counted_and_stops_nothing_else(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> object:
        raise ValueError("nobody foresaw it")

    monkeypatch.setattr(Snapshots, "make", crash)
    line.shows(100.0)
    line.pipeline._encode_next()
    line.pipeline.stop(2)
    dropped = line.metrics.counts("visionedge_escalations_dropped_total", "cause")
    assert dropped["snapshot"] == 1
