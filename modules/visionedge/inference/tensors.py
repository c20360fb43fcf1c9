"""What goes into a model and comes out of it: names, shapes and types, without a runtime.

Heads are built from these and not from a session, so that they can be tested, and read,
with arrays alone.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_CHANNELS: Final = (1, 3)
Outputs = list[Any]
"""What a run gives, in the order of the model's outputs: arrays, or for ONNX sequences of
maps (Custom Vision's class probabilities) lists of dictionaries."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: as the graph calls it.
        shape: None where a dimension is free.
        dtype: of its elements; None for what is no tensor of numbers.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any] | None

    def __str__(self) -> str:
        kind = self.dtype.name if self.dtype is not None else "no numbers"
        sizes = ",".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} {kind}[{sizes}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """All inputs and outputs of a model, in its order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def picture(self) -> TensorSpec:
        """The input that takes the picture: the first with room for one, or else the first."""
        return next((spec for spec in self.inputs if len(spec.shape) > 2), self.inputs[0])

    def __str__(self) -> str:
        return f"{_listed(self.inputs)} -> {_listed(self.outputs)}"


def is_planar(spec: TensorSpec) -> bool | None:
    """True for a picture input with channels first, False with channels last, None if unclear."""
    if len(spec.shape) < 3:
        return None
    first, _, last = spec.shape[-3:]
    if first in _CHANNELS or (first is None and last not in _CHANNELS):
        return True
    return False if last in _CHANNELS else None


def squeezed(array: NDArray[Any], rank: int) -> NDArray[Any] | None:
    """`array` as a view without leading or trailing dimensions of 1, or None if it has more.

    Exporters differ in whether they keep the batch dimension and trailing `1, 1`.
    """
    while array.ndim > rank and array.shape[0] == 1:
        array = array[0]
    while array.ndim > rank and array.shape[-1] == 1:
        array = array[..., 0]
    return array if array.ndim == rank else None


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return "; ".join(str(spec) for spec in specs) or "nothing"
