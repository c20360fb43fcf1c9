"""A model is ready for its workers before its first frame, and says so where it cannot be."""

import ctypes
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from resource import RUSAGE_THREAD, getrusage
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from visionedge.errors import ModelRunError
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.session import Session
from visionedge.inference.tensors import Outputs
from visionedge.inference.tiles import Tiling
from visionedge.inference.view import View
from visionedge.inference.warm import Look, warm
from visionedge.runtime.cores import leave_cores
from visionedge.runtime.worker import Worker
from visionedge.settings import ModelSettings

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
FRAME = np.full((720, 1280, 3), 90, np.uint8)
LOOK = Look((720, 1280))
WORKERS = 2


@pytest.fixture
def model() -> LoadedModel:
    return load_model(BUNDLE, ModelSettings(path="-"))


def first_frames(model: LoadedModel) -> int:
    """Pages of memory that the first frames of all workers touch first."""

    def first(_: int) -> int:
        before = getrusage(RUSAGE_THREAD).ru_minflt
        model.runner().infer(FRAME)
        return getrusage(RUSAGE_THREAD).ru_minflt - before

    with ThreadPoolExecutor(1) as pool:
        return sum(pool.map(first, range(WORKERS)))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="libc cannot trim")
def test_the_first_frames_of_a_warm_model_touch_no_new_memory(model: LoadedModel) -> None:
    # Memory that was freed here before would do as well, and hide the difference.
    ctypes.CDLL(None).malloc_trim(0)
    cold = first_frames(model)
    other = load_model(BUNDLE, ModelSettings(path="-"))
    ctypes.CDLL(None).malloc_trim(0)
    assert warm(other, [LOOK], WORKERS) == WORKERS
    assert first_frames(other) < cold / 5


def test_each_asker_takes_over_a_warm_runner_and_the_next_one_gets_a_new_one(
    model: LoadedModel,
) -> None:
    assert warm(model, [LOOK, Look((480, 640))], WORKERS) == WORKERS
    runners = [model.runner() for _ in range(WORKERS + 1)]
    assert len({id(runner) for runner in runners}) == WORKERS + 1
    assert [runner.timings.total_s > 0 for runner in runners] == [True, True, False]


def test_a_warm_runner_sees_what_a_new_one_sees(model: LoadedModel) -> None:
    tiled = View(tiling=Tiling(0, 0, 0.2, 4))
    warm(model, [LOOK, Look((720, 1280), tiled)], 1)
    image = np.random.default_rng(1).integers(0, 256, FRAME.shape, np.uint8)
    ready, new = model.runner(), model.cold_runner()
    for view in (View(), tiled):
        assert str(ready.infer(image, view)) == str(new.infer(image, view))


def test_a_camera_that_gave_no_frame_yet_needs_no_runner(model: LoadedModel) -> None:
    assert warm(model, [], WORKERS) == 0
    assert not model.runner().timings.total_s


class LostDevice(Session):
    """A session whose device has gone away since it was loaded."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Outputs:
        """Fail."""
        raise ModelRunError("the device is gone", hint="plug it in")


def test_a_model_that_fails_is_not_warm_and_nobody_waits_for_it(model: LoadedModel) -> None:
    lost = LoadedModel(
        LostDevice(model.session.path, model.session.providers),
        model.card,
        origins=model.origins,
        bundle=model.bundle,
        limits=model.limits,
    )
    assert warm(lost, [LOOK], WORKERS) == 0
    assert not [name for name in names_of_threads() if name.startswith("warm-")]


def names_of_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_a_thread_that_leaves_cores_yields_to_the_others_and_only_it() -> None:
    found: list[int] = []

    def job(_: Worker) -> None:
        leave_cores()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert Worker("nice", job).start().join(10)
    assert found[0] > before
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
