"""What a change of the settings brings new is warm before a frame meets it."""

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from visionedge.entities import Decision, Frame, Prediction
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.pipeline import Pipeline, Wiring
from visionedge.runtime.clock import SystemClock
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import Document, resolve
from visionedge.telemetry import Telemetry
from visionedge.uplink.spool import Spool

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
SIZE = (720, 1280)


class Line:
    """A lineup and a pipeline whose threads are not started."""

    def __init__(self, folder: Path, telemetry: Telemetry) -> None:
        self.folder = folder
        self.bundles = [copytree(BUNDLE, folder / name) for name in ("one", "other")]
        slots, metrics = LatestSlots[Frame](), Metrics()
        self.lineup = Lineup(slots, metrics, lambda *_: None)
        prepared = self.lineup.prepare(resolve([self.settings(0)]), 1)
        self.spool = Spool(folder / "s.db", max_bytes=10**7, max_age_s=60, metrics=metrics)
        self.pipeline = Pipeline(
            prepared.wiring, slots, self.spool, telemetry, metrics, workers=2, queue=1
        )
        self.lineup.swap(prepared)
        self.lineup.busy = self.pipeline.busy
        prepared.wiring.sizes["a"] = SIZE

    def settings(self, bundle: int, **model: object) -> Document:
        return {
            "cameras": {"a": {"kind": "input"}},
            "models": {"default": {"path": str(self.bundles[bundle]), **model}},
            "escalation": {"second": {"enabled": False}},
            "spool": {"path": str(self.folder / "s.db")},
        }

    def change(self, bundle: int, **model: object) -> Wiring:
        """To other settings, as the app does it."""
        prepared = self.lineup.prepare(resolve([self.settings(bundle, **model)]), 2)
        self.pipeline.rewire(prepared.wiring)
        self.lineup.swap(prepared)
        return prepared.wiring


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path, Telemetry(SystemClock().utc()))
    line.pipeline.busy.met(2)
    yield line
    line.lineup.stop(2)
    line.spool.close()


def runs(wiring: Wiring, runners: int) -> list[bool]:
    """For each of so many runners of the camera's model, whether it has run."""
    return [wiring.models["a"].runner().timings.total_s > 0 for _ in range(runners)]


def test_a_new_model_is_warm_for_as_many_as_ran_one_at_once(line: Line) -> None:
    assert runs(line.change(1), 3) == [True, True, False]


def test_a_light_line_has_one_runner_warmed_also_after_a_crowd_long_ago(line: Line) -> None:
    for _ in range(1000):
        line.pipeline.busy.met(1)
    assert runs(line.change(1), 2) == [True, False]


class Meeting(Telemetry):
    """Records a frame once another one is as far."""

    def __init__(self) -> None:
        super().__init__(SystemClock().utc())
        self.together = threading.Barrier(2)

    def record(
        self, frame: Frame, prediction: Prediction, decision: Decision, latency_s: float
    ) -> None:
        """Wait for the other one."""
        self.together.wait(20)
        super().record(frame, prediction, decision, latency_s)


def test_a_line_is_as_busy_as_frames_were_looked_at_at_once(tmp_path: Path) -> None:
    line = Line(tmp_path, Meeting())
    assert line.pipeline.busy.frames == 1

    def answer(seq: int) -> None:
        frame = Frame(np.zeros((*SIZE, 3), np.uint8), "a", seq, SystemClock().utc(), 0)
        line.pipeline.answer_for(frame)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(answer, range(2)))
    assert line.pipeline.busy.frames == 2
    line.lineup.stop(2)
    line.spool.close()


def test_frames_that_never_meet_are_looked_at_in_the_same_buffers(line: Line) -> None:
    for seq in range(3):
        frame = Frame(np.zeros((*SIZE, 3), np.uint8), "a", seq, SystemClock().utc(), 0)
        with ThreadPoolExecutor(1) as worker:
            worker.submit(line.pipeline.answer_for, frame).result()
    model = next(iter(line.lineup.models.values()))
    assert [model.runner().timings.total_s > 0 for _ in range(2)] == [True, False]


def test_the_same_model_with_other_limits_is_warm_too(line: Line) -> None:
    assert runs(line.change(0, floor=0.3), 3) == [True, True, False]


def test_a_second_look_that_never_was_has_no_runner_warmed(line: Line) -> None:
    document = line.settings(1) | {"escalation": {"second": {"enabled": True}}}
    assert runs(line.lineup.prepare(resolve([document]), 2).wiring, 3) == [True, True, False]


def test_a_second_look_has_a_warm_runner_of_its_own(line: Line) -> None:
    line.pipeline.busy.second = True
    document = line.settings(1) | {"escalation": {"second": {"enabled": True}}}
    assert runs(line.lineup.prepare(resolve([document]), 2).wiring, 4) == [True] * 3 + [False]


def test_a_model_that_is_in_use_already_is_not_run_again(line: Line) -> None:
    assert runs(line.change(0), 1) == [False]


def test_the_size_that_a_camera_gave_is_known_after_a_change_and_forgotten_with_it(
    line: Line,
) -> None:
    assert line.change(1).sizes == {"a": SIZE}
    without = resolve([line.settings(1) | {"cameras": {"b": {"kind": "input"}}}])
    assert line.lineup.prepare(without, 3).wiring.sizes == {}


def test_a_model_that_was_replaced_goes_when_it_is_let_go_and_not_before(line: Line) -> None:
    gone = weakref.ref(next(iter(line.lineup.models.values())).session)
    line.change(1)
    gc.collect()
    assert gone() is not None
    line.pipeline.let_go()
    assert gone() is None


def test_a_line_that_runs_gets_the_interpreter_back_within_a_millisecond(line: Line) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    try:
        line.pipeline.start()
        assert sys.getswitchinterval() <= 0.001
    finally:
        line.pipeline.stop(5)
        sys.setswitchinterval(before)
