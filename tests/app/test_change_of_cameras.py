"""What was known of a camera goes when it goes, or when another one takes its name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.inference.graphs import color_classifier, saved
from tests.support.predictions import classes, frame, texture

from visionedge.entities import Image
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import resolve

LEARN_S, BELIEVE_S = 30, 10


class Line:
    """A lineup of file cameras that give no frames; the test shows it its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._model = saved(color_classifier(np.eye(3, dtype=np.float32)), folder / "m.onnx")
        self.metrics = Metrics()
        self.faults: list[tuple[str, str]] = []
        self.lineup = Lineup(
            LatestSlots(),
            self.metrics,
            lambda *_: None,
            on_fault=lambda camera, fault: self.faults.append((camera, fault)),
        )
        self._seconds = 0

    def use(self, **cameras: dict[str, Any]) -> None:
        """These cameras from now on."""
        document = {
            "models": {"default": {"path": str(self._model)}},
            "cameras": {name: {"kind": "file", **camera} for name, camera in cameras.items()},
            "spool": {"path": str(self._folder / "spool.db")},
        }
        self.prepared = self.lineup.prepare(resolve([document]), 1)
        self.lineup.swap(self.prepared)

    def show(self, image: Image, seconds: int) -> None:
        """The camera `a` gives this picture, one a second."""
        for _ in range(seconds):
            self._seconds += 1
            shown = frame(image, camera_id="a", captured_s=self._seconds)
            self.prepared.wiring.decider.decide(shown, classes(1.0, 0.0, 0.0))


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.lineup.stop(5)


SHARP = texture(320, 240)
SOFT = cv2.GaussianBlur(SHARP, (0, 0), 4).astype(np.uint8)


def test_a_softer_camera_that_takes_the_place_of_a_sharp_one_is_not_out_of_focus(
    line: Line,
) -> None:
    line.use(a={"path": "/nowhere/1"})
    line.show(SHARP, LEARN_S)
    line.use(a={"path": "/nowhere/2"})
    line.show(SOFT, LEARN_S)
    assert line.faults == []


def test_a_camera_that_is_out_of_focus_stays_so_whatever_else_of_it_is_set(line: Line) -> None:
    line.use(a={"path": "/nowhere/1"})
    line.show(SHARP, LEARN_S)
    line.show(SOFT, BELIEVE_S)
    assert line.faults == [("a", "blurred")]
    line.use(a={"path": "/nowhere/1", "max_fps": 5, "priority": 2})
    line.show(SOFT, LEARN_S)
    assert line.faults == [("a", "blurred")]


def test_a_camera_that_is_removed_is_neither_down_nor_at_fault(line: Line) -> None:
    line.use(a={"path": "/nowhere/1"}, b={"path": "/nowhere/2"})
    line.metrics.camera_fault.labels("a", "dark").set(1)
    line.metrics.drifted.labels("a").set(1)
    line.use(b={"path": "/nowhere/2"})
    page = line.metrics.page().decode()
    states = [row for row in page.splitlines() if 'camera="a"' in row and "_total" not in row]
    assert [row for row in states if row.startswith("visionedge_")] == []
    assert 'visionedge_camera_up{camera="b"}' in page
