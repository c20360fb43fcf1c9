"""How fast a model is here: a short run, the median of each stage.

The median, because the machine does other things too; after a few runs that do not count,
because the first ones plan memory and warm caches. A figure of this machine alone.
"""

import time
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
