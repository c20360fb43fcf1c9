"""Ways to run a model are compared within rounds, and the best that is worth its CPU is taken."""

import os
import threading

import numpy as np
import pytest
from tests.inference.graphs import color_classifier, saved

from visionedge.entities import Image, Prediction
from visionedge.errors import ModelRunError
from visionedge.evaluation.tuning import Contest, Measured, Turn, Way, be_modest, ways
from visionedge.inference.boxes import Limits
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.runner import Runner
from visionedge.inference.view import WHOLE, View
from visionedge.runtime.worker import Worker
from visionedge.settings import ModelSettings

WEIGHTS = np.eye(3, dtype=np.float32)[:2]
FRAME = np.full((32, 32, 3), 90, np.uint8)
CPU = "CPUExecutionProvider"


def way(workers: int = 1, threads: int = 1) -> Way:
    return Way("m", CPU, workers, threads, spin=False)


def turns(*frame_s: float, cpu_s: float = 0.01) -> list[Turn]:
    return [Turn(each, each, each, cpu_s) for each in frame_s]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = saved(color_classifier(WEIGHTS), tmp_path_factory.mktemp("tuning") / "model.onnx")
    return load_model(path, ModelSettings(path="."))


@pytest.mark.parametrize(
    ("cores", "most", "expected"),
    [
        (1, 1, [(1, 1, False)]),
        (1, 2, [(1, 1, False), (2, 1, False)]),
        (2, 2, [(1, 1, False), (2, 1, False), (1, 2, False), (1, 2, True)]),
        (2, 9, [(1, 1, False), (2, 1, False), (3, 1, False), (1, 2, False), (1, 2, True)]),
        (2, 1, [(1, 1, False), (1, 2, False), (1, 2, True)]),
    ],
)
def test_what_is_tried_has_at_most_one_worker_more_than_cores(
    cores: int, most: int, expected: list[tuple[int, int, bool]]
) -> None:
    assert list(ways(cores, most)) == expected


def test_six_cores_are_tried_in_every_division() -> None:
    tried = list(ways(6, 6))
    assert all(workers * threads <= 6 for workers, threads, _ in tried)
    assert {(1, 6, False), (1, 6, True), (3, 2, False), (6, 1, False)} <= set(tried)
    assert len(set(tried)) == len(tried)


def test_a_drift_of_the_machine_touches_no_gain() -> None:
    base = Measured(way(), turns(0.010, 0.020, 0.040))
    other = Measured(way(2), turns(0.005, 0.010, 0.020))
    assert other.gain(base, "throughput") == pytest.approx(2)
    assert base.gain(base, "latency") == 1


def test_of_two_that_are_as_good_the_one_that_takes_less_cpu_is_taken(model: LoadedModel) -> None:
    contest = Contest([(way(1), model), (way(2), model), (way(3), model)], [FRAME], "throughput")
    base, quick, thrifty = contest.results
    base.turns = turns(0.020, 0.020)
    quick.turns = turns(0.0100, 0.0100, cpu_s=0.02)
    thrifty.turns = turns(0.01005, 0.01005, cpu_s=0.01)
    assert contest.best(contest.results) is thrifty
    thrifty.turns = turns(0.0120, 0.0120, cpu_s=0.01)
    assert contest.best(contest.results) is quick


def test_of_two_that_do_not_differ_what_is_there_stays_else_the_fewest_workers(
    model: LoadedModel,
) -> None:
    contest = Contest([(way(2), model), (way(3), model), (way(1), model)], [FRAME], "throughput")
    present, more, slow = contest.results
    present.turns = turns(0.0101, 0.0101, cpu_s=0.01001)
    more.turns = turns(0.0100, 0.0100, cpu_s=0.01000)
    slow.turns = turns(0.0200, 0.0200)
    assert contest.best(contest.results) is present
    contest = Contest([(way(1), model), (way(3), model), (way(2), model)], [FRAME], "throughput")
    slow, more, fewer = contest.results
    slow.turns = turns(0.0200, 0.0200)
    more.turns = turns(0.0100, 0.0100, cpu_s=0.01000)
    fewer.turns = turns(0.0100, 0.0100, cpu_s=0.01005)
    assert contest.best(contest.results) is fewer


def test_every_way_is_measured_and_the_first_one_to_the_end(model: LoadedModel) -> None:
    told: list[float] = []
    contest = Contest([(way(1), model), (way(2), model)], [FRAME], "cpu", turn_s=0.01)
    contest.run(0.05, told.append)
    assert len(contest.base.turns) >= 9
    assert all(each.turns for each in contest.results)
    assert all(turn.frame_s > 0 and turn.tail_s >= turn.latency_s for turn in contest.base.turns)
    assert told[-1] == 1
    assert told == sorted(told)


def test_a_model_that_fails_ends_the_contest_with_its_error(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> None:
        raise ModelRunError("it failed", hint="leave it")

    monkeypatch.setattr(model.session, "run", fails)
    contest = Contest([(way(2), model)], [FRAME], "latency", turn_s=0.01)
    with pytest.raises(ModelRunError, match="it failed"):
        contest.run(0.0)


class _Slowly(Runner):
    """Looks at each frame three hundred times."""

    def infer(self, image: Image, view: View = WHOLE) -> Prediction:
        for _ in range(299):
            super().infer(image, view)
        return super().infer(image, view)


class _Slow(LoadedModel):
    """The same model, slowly."""

    def runner(self, limits: Limits | None = None) -> Runner:
        return _Slowly(self.session, self.card, limits or self.limits)


def test_a_slow_way_lengthens_its_own_turns_and_no_others(model: LoadedModel) -> None:
    slow = _Slow(
        model.session, model.card, origins=model.origins, bundle=model.bundle, limits=model.limits
    )
    contest = Contest([(way(1), model), (way(2), slow)], [FRAME], "cpu", turn_s=0.01)
    contest.run(0)
    assert contest.turns_s[way(1)] == 0.01
    assert contest.turns_s[way(2)] > 0.01


def test_who_measures_lets_everything_else_go_first() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    found: list[int] = []

    def job(_: Worker) -> None:
        be_modest()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    # On Linux each thread has a niceness of its own, so this one's ends with it.
    assert Worker("modest", job).start().join(10)
    assert found == [min(19, before + 10)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
