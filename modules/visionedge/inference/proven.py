"""A model as the module takes one: tried, loaded as tuned, and held to its golden frames.

The golden frames are run once a bundle and device, and remembered as proven: the same
files on the same runtime and processor give the same numbers, and a start has better
things to do (0.1 s for our bundle's five frames). `visionedge verify` runs them always.
"""

from pathlib import Path

from visionedge.inference.bundle import checked_sha256, find_bundle
from visionedge.inference.model import LoadedModel
from visionedge.inference.sessions import Sessions
from visionedge.inference.trial import load_tried
from visionedge.inference.tuned import Tuned
from visionedge.settings import ModelSettings


def load_proven(
    path: Path, settings: ModelSettings, cache: Path, sessions: Sessions | None = None
) -> LoadedModel:
    """Load a model that says here what its bundle expects of it.

    Args:
        path: bundle folder, ONNX file, or zip of an export.
        settings: how to run it.
        cache: a folder that lasts, where proofs are kept.
        sessions: those that are open, to be shared.

    Raises:
        ModelError: as `load_tried` says.
    """
    bundle = find_bundle(path, cache)
    settings = Tuned(cache).applied(settings, checked_sha256(bundle.model, None))
    return load_tried(path, settings, cache, golden=True, sessions=sessions)
