"""How much memory each run of a model takes beside the weights, and how much if it frees early.

It is told by the growth of this process over the first runs of a session of its own, once for
each way. So nothing else may go on in it meanwhile.

What this does not promise: a figure to the megabyte. Pages are counted, and of several runs at
once each takes a little more.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from visionedge.commands import speed
from visionedge.inference.model import LoadedModel
from visionedge.inference.optimised import Optimised
from visionedge.inference.proof import RULES
from visionedge.inference.runner import Runner
from visionedge.inference.session import Session
from visionedge.runtime.heap import resident_bytes, system_heap

_RUNS: Final = 2
"""The first takes the memory, and the second more where it does not fit what the first left."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Megabytes a run takes, its input included; 0 where it cannot be told."""

    kept_mb: float
    released_early_mb: float


def measure(model: LoadedModel) -> Footprint:
    """Run a model twice in each way.

    Raises:
        ModelRunError: it failed.
    """
    file, providers = model.bundle.model, model.session.providers
    with TemporaryDirectory(prefix="visionedge-") as folder:
        kept = Optimised(Path(folder), str(model.card.sha256), providers, RULES)
        # It leaves a copy, and a session of that is not run before it is measured, as one is that
        # was rewritten just now.
        if Session(file, providers, optimised=kept).rewritten and not kept.sound():
            return Footprint(0, 0)
        sessions = (
            Session(file, providers, optimised=kept, release_early=release_early)
            for release_early in (False, True)
        )
        return Footprint(*(_growth_mb(model, session) for session in sessions))


def _growth_mb(model: LoadedModel, session: Session) -> float:
    runner, frame = Runner(session, model.card, model.limits), speed.frame()
    # What was freed before would be used again, and not be growth.
    system_heap().relieve()
    before_bytes = resident_bytes()
    for _ in range(_RUNS):
        runner.infer(frame)
    return round((resident_bytes() - before_bytes) / 1e6, 1)
