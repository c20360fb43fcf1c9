"""Runners that have run before their first frame, so that a change of the model delays none.

The first run of a session and of a runner touches memory that the process has not had yet:
the canvas and the tensor of the runner, and the activations of the session. That is 16 MiB for
our bundle, and a third more CPU for the first frame. So a model gets its runners beforehand,
each of them run once on pictures of the size and with the view of the frames that will come.
Whoever asks the model for a runner then takes over one of them.

One after the other, in one thread that runs on what the line leaves of the cores
(`runtime.cores`). Together, as they may be run later, they would take memory for as many runs
at once whether or not it comes to that, and each would take turns with the frames: those that
met them were late by an inference, to spare one of them a fifth of that (measured). And not
for long: what is not warm in time is warmed by its first frame, as at a start.

What this does not promise: warm caches of the processor. The first frame still fetches the
weights from memory. And the first time that two are under way at once, one takes its own
activations: 0.2 of an inference for our bundle, 0.5 at worst.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from visionedge.errors import ModelRunError
from visionedge.inference.model import LoadedModel
from visionedge.inference.runner import Runner
from visionedge.inference.view import WHOLE, View
from visionedge.runtime.cores import leave_cores
from visionedge.runtime.worker import Worker

log: Final = logging.getLogger(__name__)
Size = tuple[int, int]
"""Height and width of a frame, pixels."""
_DEADLINE_S: Final = 20.0
_GRAY: Final = 114


@dataclass(frozen=True, slots=True)
class Look:
    """How frames of a camera are looked at: what a runner is warmed for."""

    size: Size
    view: View = WHOLE


def warm(model: LoadedModel, looks: Iterable[Look], runners: int) -> int:
    """Make a model ready to be taken over.

    Args:
        model: that is to be used next; nobody needs to use it yet.
        looks: how its frames will be looked at.
        runners: how many will use it at once.

    Returns:
        How many runners are ready.
    """
    met = [*looks]
    if not met:
        return 0
    ready: list[Runner] = []

    def job(worker: Worker) -> None:
        leave_cores()
        try:
            while len(ready) < runners and not worker.stopping:
                ready.append(_warmed(model, met))
        except ModelRunError as error:
            # Its first frame will say so again, and there it is counted.
            log.debug("a runner could not be warmed: %s", error)

    worker = Worker("warm", job).start()
    if not worker.join(_DEADLINE_S):
        worker.request_stop()
        log.info("%s is not warm after %.0f s", model.bundle.model, _DEADLINE_S)
    in_time = list(ready)
    model.keep_ready(in_time)
    return len(in_time)


def _warmed(model: LoadedModel, looks: Iterable[Look]) -> Runner:
    runner = model.cold_runner()
    for look in looks:
        runner.warm(np.full((*look.size, 3), _GRAY, np.uint8), look.view)
    return runner
