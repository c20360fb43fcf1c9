"""From one wiring to the next: what is new in it is made ready before a frame meets it.

Who looks at a frame borrows a runner of its model, the latest that was used or one that is warm
(`inference.warm`). So the models that a wiring brings are run beforehand: once for each of
those that ran models at once lately, on pictures of the size that the cameras give at the
moment, with the view that each camera has. Not for as many as there are: a line with time
between two frames never runs two at once, and each more takes CPU from it. A model that is in
use already has its runners and is left alone.

And from one process to the next: what was spent of the budgets is read from the spool.

What this does not promise: anything for a camera that has not given a frame yet. There is no
line to be delayed there.
"""

import logging
from collections import defaultdict
from typing import Final

from visionedge.busy import Busy
from visionedge.errors import SpoolUnavailable
from visionedge.inference.model import LoadedModel
from visionedge.inference.view import WHOLE
from visionedge.inference.warm import Look, warm
from visionedge.pipeline import Wiring
from visionedge.uplink.spool import Spool

log: Final = logging.getLogger(__name__)


def make_ready(wiring: Wiring, before: Wiring, busy: Busy) -> None:
    """Warm the models of a wiring that the one before it does not have.

    Args:
        wiring: that is to be used next.
        before: that is in use.
        busy: how many run models at once.
    """
    in_use, seconds = _looks(before), {second.model for second in wiring.seconds.values()}
    for model, looks in _looks(wiring).items():
        if model not in in_use:
            # Second looks have a thread of their own.
            warm(model, looks, busy.frames + (busy.second and model in seconds))


def restore_budgets(wiring: Wiring, spool: Spool, now_ns: int) -> None:
    """A restart is no reason to spend a budget twice.

    Args:
        wiring: the first of this process.
        spool: knows what was made lately.
        now_ns: monotonic.
    """
    try:
        made = [(m.camera_id, m.size_bytes, m.age_s) for m in spool.made_lately()]
    except SpoolUnavailable as error:
        log.error("what was spent of the budgets is not known: %s", error)
        return
    wiring.decider.restore(made, now_ns)


def _looks(wiring: Wiring) -> dict[LoadedModel, set[Look]]:
    """How each model looks at frames, as far as frames have come."""
    looks: defaultdict[LoadedModel, set[Look]] = defaultdict(set)
    for camera, model in wiring.models.items():
        trial, second = wiring.trials.get(camera), wiring.seconds.get(camera)
        met = [model, *((trial.candidate, trial.former) if trial else ())]
        for each in [*met, second.model] if second else met:
            looks[each] |= _looks_of(camera, wiring)
    return looks


def _looks_of(camera: str, wiring: Wiring) -> set[Look]:
    size = wiring.sizes.get(camera)
    return set() if size is None else {Look(size, wiring.views.get(camera, WHOLE))}
