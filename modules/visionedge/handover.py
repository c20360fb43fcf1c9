"""From one wiring to the next: what is new in it is made ready before a frame meets it.

Each worker asks a model for a runner when it first meets it, and takes over one that is warm
(`inference.warm`). So the models that a wiring brings are run beforehand: for as many threads
as will run them, on pictures of the size that the cameras give at the moment, with the view
that each camera has. A model that is in use already has its runners and is left alone.

What this does not promise: anything for a camera that has not given a frame yet. There is no
line to be delayed there.
"""

from collections import defaultdict

from visionedge.inference.model import LoadedModel
from visionedge.inference.view import WHOLE
from visionedge.inference.warm import Look, warm
from visionedge.pipeline import Wiring


def make_ready(wiring: Wiring, before: Wiring, workers: int) -> None:
    """Warm the models of a wiring that the one before it does not have.

    Args:
        wiring: that is to be used next.
        before: that is in use.
        workers: how many will run a model at once; none where no line runs yet.
    """
    if not workers:
        return
    in_use, seconds = _looks(before), {second.model for second in wiring.seconds.values()}
    for model, looks in _looks(wiring).items():
        if model not in in_use:
            # Second looks have a thread of their own.
            warm(model, looks, workers + (model in seconds))


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
