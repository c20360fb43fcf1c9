"""How fast a model is here: a short run, the median of each stage.

The median, because the machine does other things too; after a few runs that do not count,
because the first ones plan memory and warm caches. A figure of this machine alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from visionedge.commands import options
from visionedge.entities import Image
from visionedge.inference.model import LoadedModel

_WARM_UP: Final = 3
_MOST_RUNS: Final = 50
_MOST_S: Final = 5.0
FRAME_SIZE: Final = (1280, 720)


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over `runs` frames, milliseconds."""

    preprocess_ms: float
    run_ms: float
    decode_ms: float
    runs: int

    @property
    def total_ms(self) -> float:
        """A frame in all."""
        return self.preprocess_ms + self.run_ms + self.decode_ms


def frame() -> Image:
    """A frame of noise, the same every time: nothing in it is cheap to resize or find."""
    width, height = FRAME_SIZE
    return np.random.default_rng(7).integers(0, 255, (height, width, 3), np.uint8)


def measure(model: LoadedModel, *, quiet: bool = False) -> Speed:
    """Run a model for at most five seconds.

    Raises:
        ModelRunError: it failed.
    """
    runner, image = model.runner(), frame()
    for _ in range(_WARM_UP):
        runner.infer(image)
    timings = []
    until = time.monotonic() + _MOST_S
    for _ in options.with_progress(range(_MOST_RUNS), "run", quiet=quiet):
        runner.infer(image)
        timings.append(runner.timings)
        if time.monotonic() > until:
            break
    preprocess, run, decode = (
        round(1000 * median(getattr(each, stage) for each in timings), 3)
        for stage in ("preprocess_s", "run_s", "decode_s")
    )
    return Speed(preprocess, run, decode, len(timings))


def compare(models: Sequence[LoadedModel]) -> list[float]:
    """The median run of each model, milliseconds, for at most five seconds a model.

    They take turns, a few frames each, so that whatever else the machine does is spread over
    all of them: two figures of one call can be compared where two calls' cannot.

    Raises:
        ModelRunError: one failed.
    """
    runners, image = [model.runner() for model in models], frame()
    times: list[list[float]] = [[] for _ in models]
    until = time.monotonic() + _MOST_S * len(models)
    for turn in range(_WARM_UP + _MOST_RUNS):
        for runner, taken in zip(runners, times, strict=True):
            runner.infer(image)
            if turn >= _WARM_UP:
                taken.append(runner.timings.run_s)
        if turn >= _WARM_UP and time.monotonic() > until:
            break
    return [round(1000 * median(taken), 3) for taken in times]
