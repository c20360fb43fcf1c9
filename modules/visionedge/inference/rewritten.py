"""A model as the same sums in fewer steps, and the proof that it says the same.

The runtime rewrites a graph by rules of its own, which know nothing of what some networks begin
with or repeat. What is told here of them takes 10 to 13 % off their runs (measured on processors
only, so it is done for those only). Nobody has to trust it: `session.py` shows a rewritten model
and the original the same noise, and goes by the original where they differ.

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
_RULES: Final[Sequence[Callable[[Graph, Change], None]]] = (fold_focus, fold_hard_swish)
"""In the order of their names in `RULES`."""
_TOLERANCE: Final = 1e-3
"""Of a value, or of one where it is smaller. Sums in another order differ by 1e-5."""
_RANGES: Final = (1.0, 255.0)
"""Brightest values of noise: what networks want that are shown shares, and bytes."""
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
    except (OSError, ValueError, OverflowError, IndexError, MemoryError):
        return None


def say_the_same(
    signature: Signature, run: Callable[[Inputs], Outputs], other: Callable[[Inputs], Outputs]
) -> bool:
    """Whether two ways to run a model give the same answers to noise."""
    return all(
        _alike(ours, theirs)
        for inputs in _noise(signature)
        for ours, theirs in zip(run(inputs), other(inputs), strict=True)
    )


def _noise(signature: Signature) -> Iterator[Inputs]:
    random = np.random.default_rng(0)
    for top in _RANGES:
        yield {
            spec.name: random.uniform(0, top, _sizes(spec.shape)).astype(spec.dtype)
            for spec in signature.inputs
        }


def _sizes(shape: Sequence[int | None] | None) -> list[int]:
    return [size or free for size, free in zip(shape or (), _FREE_SIZES, strict=False)]


def _alike(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - outputs of a model may be anything
    if not (isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)):
        return False
    return ours.shape == theirs.shape and np.allclose(
        ours, theirs, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
    )
