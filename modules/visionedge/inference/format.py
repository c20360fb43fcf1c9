"""What the registry knows of a head: its task, its feeding, and how its models are told.

A format is declared beside the head that reads it, so that all about one exporter is in
one file. Models without a card are shown to every format in the order of the registry, and
the first that knows its own outputs takes them. A format must be sure: what it is not sure
of it leaves to the next, because a detector read wrongly gives boxes that look nearly right.

What this does not promise: that two formats never share a shape. Those that do are told
apart by the values of one answer, and say so in `Told.why`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.inference.adapter import ModelAdapter
from visionedge.inference.boxes import Limits
from visionedge.inference.card import ModelCard, Task
from visionedge.inference.tensors import Outputs, Signature

Fields = Mapping[str, Any]
Build = Callable[[ModelCard, Signature, Limits], ModelAdapter]
CountClasses = Callable[[Signature, int], int | None]
_SLACK: Final = 0.02
_SPREAD: Final = 1 / 8
"""Of the input's side: centres over a whole picture deviate by 0.29 of it, raw ones by a few
pixels."""


@dataclass(frozen=True, slots=True)
class Table:
    """The one output with a row or column a candidate.

    Attributes:
        name: of the output.
        values: (rows, columns) float32.
        masks: coefficients of a mask at the end of each candidate; 0 without masks.
    """

    name: str
    values: NDArray[np.float32]
    masks: int

    @property
    def is_unit(self) -> bool:
        """True if all values are finite and lie between 0 and 1."""
        return is_unit(self.values)

    def is_decoded(self, size: tuple[int, int]) -> bool:
        """True if rows begin with centres in pixels of the input, not relative to something."""
        deviation = self.values[:, :2].astype(np.float64).std(axis=0)
        return bool((deviation > np.array(size) * _SPREAD).all())


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to one picture.

    Attributes:
        signature: of the model.
        outputs: in its order.
        size: width and height of its input, pixels.
        labels: how many labels are known, 0 if none.
    """

    signature: Signature
    outputs: Outputs
    size: tuple[int, int]
    labels: int

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The outputs of floating point numbers, by name without a TensorFlow port (`:0`)."""
        return {
            plain(spec.name): array
            for spec, array in zip(self.signature.outputs, self.outputs, strict=True)
            if isinstance(array, np.ndarray) and array.dtype.kind == "f"
        }

    def has(self, *names: str) -> bool:
        """True if there are outputs of all these names, a TensorFlow port aside."""
        return set(names) <= {plain(spec.name) for spec in self.signature.outputs}

    def table(self) -> Table | None:
        """The output `[1, rows, columns]`, if there is one such and beside it at most masks."""
        batch = {n: a for n, a in self.arrays().items() if a.ndim in (3, 4) and a.shape[0] == 1}
        tables = {name: array for name, array in batch.items() if array.ndim == 3}
        masks = [array.shape[1] for array in batch.values() if array.ndim == 4]
        if len(tables) != 1 or len(masks) > 1:
            return None
        ((name, array),) = tables.items()
        return Table(name, array[0].astype(np.float32), sum(masks))

    def agrees(self, classes: int) -> bool:
        """True if so many classes contradict nothing that is known."""
        return classes > 0 and self.labels in (0, classes)

    def fields_of(self, table: Table, extra: Fields | None = None) -> Fields:
        """What the card must say to find that table again."""
        fields = dict(extra or {})
        if len(self.outputs) > 1:
            fields["output.name"] = table.name
        if table.masks:
            fields["output.masks"] = table.masks
        return fields


@dataclass(frozen=True, slots=True)
class Told:
    """Why a format takes a model, and what was learnt on the way (fields of the card)."""

    why: str
    fields: Fields = field(default_factory=dict)


Tell = Callable[[Answer], Told | None]
"""Takes a model or leaves it; raises ModelCardError for one of its own that needs a card."""


@dataclass(frozen=True, slots=True)
class Format:
    """One head.

    Attributes:
        head: its name in a card.
        task: what its models do.
        build: makes an adapter.
        tell: takes or leaves the outputs of a model without a card.
        exporters: who writes such models; for people.
        layout: of the outputs; for people.
        input: preprocessing by convention, fields of the input card.
        labels: names of the classes where they are always the same.
        is_probed: classifiers whose range of pixels and activation their answers to several
            pictures tell.
        classes: how many classes a signature has, of rows with so many mask coefficients;
            None where it does not tell.
    """

    head: str
    task: Task
    build: Build
    tell: Tell
    exporters: str
    layout: str
    input: Fields
    labels: tuple[str, ...] = ()
    is_probed: bool = False
    classes: CountClasses = lambda _signature, _masks: None


def columns_after(boxes: int, axis: int) -> CountClasses:
    """Counts classes by one dimension of the first output of three dimensions.

    Args:
        boxes: numbers of a candidate that are no class scores, beside masks.
        axis: which dimension holds a candidate's numbers.
    """

    def count(signature: Signature, masks: int) -> int | None:
        for spec in signature.outputs:
            if len(spec.shape) == 3:
                size = spec.shape[axis]
                return None if size is None else size - boxes - masks
        return None

    return count


def plain(name: str) -> str:
    """An output's name without TensorFlow's port."""
    stem, _, port = name.rpartition(":")
    return stem if stem and port.isdigit() else name


def is_unit(values: NDArray[Any]) -> bool:
    """True if all values are finite and lie between 0 and 1."""
    return bool(values.size and values.min() >= -_SLACK and values.max() <= 1 + _SLACK)
