"""Runners that have run before their first frame, so that a change of the model delays none.

The first run of a session and of a runner touches memory that the process has not had yet:
the canvas and the tensor of the runner, and the activations of the session, of which it
needs as many as runs are under way at once. For our bundle that is 16 MiB or 4000 page faults
a worker, which made its first frame take 16 to 60 ms of CPU in place of 9. So a model gets its
runners beforehand: one for each thread that will use it, run together, on pictures of the
size and with the view of the frames that will come. Whoever asks the model for a runner
then takes over one of them.

They run on what the line leaves of the cores (`runtime.cores`), and not for long: what is
not warm in time is warmed by its first frame, as at a start.

What this does not promise: warm caches of the processor. The first frame still fetches the
weights from memory.
"""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from visionedge.entities import Image
from visionedge.errors import ModelRunError
from visionedge.inference.model import LoadedModel
from visionedge.inference.runner import Runner
from visionedge.inference.view import WHOLE, View
from visionedge.runtime.cores import leave_cores
from visionedge.runtime.worker import Worker

log: Final = logging.getLogger(__name__)
Size = tuple[int, int]
"""Height and width of a frame, pixels."""
_TIMES: Final = 2
"""Runs that did not overlap the first time took turns with the same memory of the session."""
_DEADLINE_S: Final = 20.0
_GRAY: Final = 114


@dataclass(frozen=True, slots=True)
class Look:
    """How frames of a camera are looked at: what a runner is warmed for."""

    size: Size
    view: View = WHOLE


@dataclass(slots=True)
class _Crew:
    """Threads that run one model at once, each with a runner of its own."""

    model: LoadedModel
    pictures: list[tuple[Image, View]]
    together: threading.Barrier
    ready: list[Runner] = field(default_factory=list)

    def run(self, _: Worker) -> None:
        leave_cores()
        try:
            runner = self.model.cold_runner()
            for image, view in self.pictures * _TIMES:
                self.together.wait(_DEADLINE_S)
                runner.warm(image, view)
        except threading.BrokenBarrierError:
            return
        except ModelRunError as error:
            # Its first frame will say so again, and there it is counted.
            log.debug("a runner could not be warmed: %s", error)
            self.together.abort()
            return
        self.ready.append(runner)


def warm(model: LoadedModel, looks: Iterable[Look], runners: int) -> int:
    """Make a model ready to be taken over.

    Args:
        model: that is to be used next; nobody needs to use it yet.
        looks: how its frames will be looked at.
        runners: how many threads will use it at once.

    Returns:
        How many runners are ready.
    """
    pictures = [(np.full((*look.size, 3), _GRAY, np.uint8), look.view) for look in looks]
    if not pictures or runners < 1:
        return 0
    crew = _Crew(model, pictures, threading.Barrier(runners))
    workers = [Worker(f"warm-{number}", crew.run).start() for number in range(runners)]
    deadline_s = time.monotonic() + _DEADLINE_S
    for worker in workers:
        if not worker.join(max(0.0, deadline_s - time.monotonic())):
            log.info("%s is not warm after %.0f s", model.bundle.model, _DEADLINE_S)
            crew.together.abort()
        worker.request_stop()
    ready = list(crew.ready)
    model.keep_ready(ready)
    return len(ready)
