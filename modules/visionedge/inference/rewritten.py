"""A model as the same sums in fewer steps, and the proof that it says the same.

The runtime rewrites a graph by rules of its own, which know nothing of what some networks begin
with or repeat, and which must leave weights alone that a file lists as inputs: somebody could give
it others. Exporters of some years listed them all. What is done here takes 10 to 60 % off their
runs (measured on processors only, so it is done for those only). `session.py` shows
a rewritten model and the original the same noise, one picture of the size that the model wants,
and goes by the original where they differ.

What this does not promise: the same answer to the last bit. Sums are taken in another order.
"""

import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.inference.focus import fold_focus
from visionedge.inference.hard_swish import fold_hard_swish
from visionedge.inference.onnx_change import Change
from visionedge.inference.onnx_graph import Graph
from visionedge.inference.proof import MARK, RULES
from visionedge.inference.tensors import Outputs, Signature

Inputs = dict[str, NDArray[Any]]

_MAX_BYTES: Final = 128 * 1024**2
"""A larger one would be in memory twice while it is loaded."""
_TOLERANCE: Final = 1e-3
"""Of the largest value beside it, along whichever axis that is the least: scores are not held to
what boxes may differ by. Sums in another order differ by 1e-5 of it."""
_LEAST: Final = 1e-6
_RANGES: Final = ((-2.5, 2.5), (0.0, 255.0))
"""Of noise: what networks want that are shown normalised pictures, and bytes."""
_NUMBERS: Final = "biuf"
"""Kinds of arrays that hold them; others hold names."""
_FREE_SIZES: Final = (1, 3, 64, 64)
"""Of dimensions that the model leaves free."""


def rewritten(path: Path) -> bytes | None:
    """The file with fewer steps; None where no rule applies, or it cannot be read.

    Its metadata names the rules that did, under `MARK`.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            graph = Graph(mapped)
            change, applied = Change(graph), []
            for name, rule in zip(RULES, _RULES, strict=True):
                before = len(change)
                rule(graph, change)
                if len(change) > before:
                    applied.append(name)
            return change.file({MARK: ", ".join(applied)}) if applied else None
    # What is wrong with the file is told by whoever loads it as it is.
    except (OSError, ValueError, TypeError, OverflowError, IndexError, MemoryError):
        return None


def _fix_weights(graph: Graph, change: Change) -> None:
    """Take weights off the inputs; nobody here gives a model others than its own."""
    for field in graph.weights_among_inputs():
        change.leave_out(field)


_RULES: Final[Sequence[Callable[[Graph, Change], None]]] = (
    fold_focus,
    fold_hard_swish,
    _fix_weights,
)
"""In the order of their names in `RULES`."""


def answers(signature: Signature, run: Callable[[Inputs], Outputs]) -> list[Outputs]:
    """What a model says to noise; the same noise each time."""
    return [run(inputs) for inputs in _noise(signature)]


def alike(ours: Sequence[Outputs], theirs: Sequence[Outputs]) -> bool:
    """Whether two models that gave these answers say the same."""
    return all(
        _same(own, other)
        for pair in zip(ours, theirs, strict=True)
        for own, other in zip(*pair, strict=True)
    )


def _noise(signature: Signature) -> Iterator[Inputs]:
    random = np.random.default_rng(0)
    for low, high in _RANGES:
        inputs = {}
        for spec in signature.inputs:
            noise = random.random(_sizes(spec.shape), np.float32)
            inputs[spec.name] = (noise * (high - low) + low).astype(spec.dtype)
        yield inputs


def _sizes(shape: Sequence[int | None]) -> list[int]:
    return [size or free for size, free in zip(shape, _FREE_SIZES, strict=False)]


def _same(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - outputs of a model may be anything
    if isinstance(theirs, list) and theirs:
        # A list of answers by label, as classifiers of other libraries give it.
        both = isinstance(ours, list) and len(ours) == len(theirs)
        return both and all(map(_same_by_label, ours, theirs))
    if not (isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)):
        return False
    if theirs.dtype.kind not in _NUMBERS:
        return np.array_equal(ours, theirs) and theirs.size > 0
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype or not theirs.size:
        return False
    # Of what is no number nobody can say that it is the same.
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return False
    sizes, apart = np.abs(theirs.astype(np.float64)), np.abs(ours.astype(np.float64) - theirs)
    allowed = sizes.max(keepdims=True)
    for axis, size in enumerate(theirs.shape):
        if size > 1:
            allowed = np.minimum(allowed, sizes.max(axis, keepdims=True))
    return bool((apart <= _TOLERANCE * allowed + _LEAST).all())


def _same_by_label(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - as above
    if not (isinstance(ours, dict) and isinstance(theirs, dict)) or ours.keys() != theirs.keys():
        return False
    return _same(*(np.array([told[label] for label in theirs]) for told in (ours, theirs)))
