"""The least that is done with a frame beside its model: what it counts, decides and puts."""

import json
from typing import Any

import numpy as np
import pytest
from bench.least_bookkeeping import LeastBookkeeping

from visionedge.entities import Action, Classification, Decision, Detections, Frame, Prediction
from visionedge.inference.runner import Timings
from visionedge.metrics import Metrics
from visionedge.runtime.clock import SystemClock
from visionedge.tally import Tally

TIMINGS = Timings(preprocess_s=0.001, run_s=0.005, decode_s=0.001)


def boxes(*confidences: float) -> Detections:
    count = len(confidences)
    return Detections(
        np.tile(np.array([0, 1, 2, 3], np.float32), (count, 1)),
        np.array(confidences, np.float32),
        np.arange(count, dtype=np.int32),
        ("hole", "short", "spur"),
    )


def classes(*confidences: float) -> Classification:
    return Classification(np.array(confidences, np.float32), ("good", "bad"))


def frame() -> Frame:
    clock = SystemClock()
    return Frame(np.zeros((4, 4, 3), np.uint8), "line", 0, clock.utc(), clock.ns())


def told(prediction: Prediction) -> dict[str, Any]:
    least = LeastBookkeeping(Metrics(), "line", as_json=True)
    least(frame(), prediction, TIMINGS)
    line = least.queue.get_nowait()
    assert isinstance(line, str)
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_tells_camera_time_and_boxes() -> None:
    line = told(boxes(0.75, 0.25))
    assert line.pop("at") > 0
    assert line == {
        "camera": "line",
        "doubted": True,
        "found": [[0, 0.75, [0, 1, 2, 3]], [1, 0.25, [0, 1, 2, 3]]],
    }


def test_of_a_classifier_the_line_tells_the_best_class() -> None:
    assert told(classes(0.25, 0.75))["found"] == [[1, 0.75, []]]


@pytest.mark.parametrize(
    ("prediction", "doubted"),
    [
        (boxes(0.9, 0.6), False),
        (boxes(0.9, 0.4), True),
        (boxes(), False),
        (classes(0.9, 0.1), False),
        (classes(0.45, 0.4), True),
    ],
)
def test_one_threshold_decides(prediction: Prediction, doubted: bool) -> None:
    metrics = Metrics()
    least = LeastBookkeeping(metrics, "line", as_json=False)
    least(frame(), prediction, TIMINGS)
    assert least.queue.get_nowait() == (doubted, prediction)
    action = "escalate" if doubted else "accept"
    assert metrics.value("visionedge_decisions_total", {"action": action}) == 1


def test_it_touches_the_series_that_the_module_touches_for_a_frame() -> None:
    """Else the floor would be that of another frame."""
    own, least = Metrics(), Metrics()
    tally = Tally(own)
    tally.decided("line", Decision(Action.ACCEPT, "", 0.0, 1), 0.02)
    for stage in ("preprocess", "run", "decode"):
        tally.took(stage, 0.001)
    LeastBookkeeping(least, "line", as_json=False)(frame(), boxes(0.9), TIMINGS)
    assert counted(least) == counted(own) != []


def counted(metrics: Metrics) -> list[str]:
    """Counters and histograms of what happened, with their labels."""
    lines = metrics.page().decode().splitlines()
    return sorted(
        line.rpartition(" ")[0]
        for line in lines
        if line.partition("{")[0].endswith(("_total", "_count")) and not line.endswith(" 0.0")
    )
