"""What the heads share: filling the one picture input, and finding the output they read.

A head is made once a worker, from the card and the model's signature, and checks there
all that can be known before the first frame: the input takes the card's picture, the
output exists, the labels are as many as the classes. What only a run can show (free
dimensions, NaN) is checked in `decode`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections, Image
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Floats, Limits, to_detections
from visionedge.inference.card import ModelCard
from visionedge.inference.geometry import Geometry
from visionedge.inference.image import InputWriter
from visionedge.inference.size_inputs import size_inputs
from visionedge.inference.tensors import Outputs, Signature, TensorSpec, squeezed

_MOST_CLASSES: Final = 65_536
Fits = Callable[[TensorSpec], bool]


class Head:
    """Base of the heads: one picture in.

    Args:
        card: of the model.
        signature: of the model.
        limits: which boxes are kept.

    Raises:
        ModelCardError: card and model do not fit together.
    """

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        self._card = card
        self._signature = signature
        self._limits = limits
        # Refuses what takes more than a picture and its size, before the picture is looked at.
        size_inputs(signature, (1, 1))
        self._writer: Final = InputWriter(card.input, signature.picture)
        self._inputs: Final[Mapping[str, NDArray[Any]]] = {
            signature.picture.name: self._writer.tensor,
            **size_inputs(signature, self._writer.size),
        }

    def preprocess(self, image: Image) -> tuple[Mapping[str, NDArray[Any]], Geometry]:
        """Fill the input; see `ModelAdapter`."""
        return self._inputs, self._writer.write(image)

    def _find(self, fits: Fits) -> int:
        """Which output to read: the card's, or the first that fits."""
        outputs = self._signature.outputs
        name = self._card.output.name
        for index, spec in enumerate(outputs):
            if spec.name == name or (name is None and fits(spec)):
                return index
        wanted = f"is called `{name}`" if name else f"fits head {self._card.head}"
        raise ModelCardError(
            f"no output {wanted}: {self._signature}",
            hint="set `head` and `output.name` in the card to what the exporter wrote",
        )

    def _array(self, outputs: Outputs, index: int, rank: int) -> NDArray[np.float32]:
        """The output as float32 of the given rank, without batch dimension; a view if it can be."""
        output = outputs[index]
        array = squeezed(output, rank) if isinstance(output, np.ndarray) else None
        if array is None or array.dtype.kind not in "fiu":
            raise ModelRunError(
                f"output {self._signature.outputs[index].name} came as {np.shape(outputs[index])}",
                hint=f"head {self._card.head} reads {rank} dimensions beside a batch of 1: "
                "name another `head` or `output.name` in the card",
            )
        return array if array.dtype == np.float32 else array.astype(np.float32)

    def _detections(
        self,
        xyxy: Floats,
        confidence: Floats,
        class_id: NDArray[np.int32],
        geometry: Geometry,
        *,
        suppress: bool = True,
    ) -> Detections:
        """The boxes of the frame out of candidates; see `to_detections`."""
        return to_detections(
            xyxy,
            confidence,
            class_id,
            geometry=geometry,
            labels=self._card.labels,
            limits=self._limits,
            temperature=self._card.temperature,
            suppress=suppress,
        )

    def _class_ids(self, numbers: NDArray[np.float32]) -> NDArray[np.int32]:
        """Classes that the model gives as numbers, (n,), checked against the labels."""
        most = len(self._card.labels) or _MOST_CLASSES
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < most):
            raise ModelRunError(
                f"a class number beyond the {most} labels",
                hint="mend `labels` in the card; if they are right, the head is wrong",
            )
        return numbers.astype(np.int32)

    def _check_labels(self, classes: int | None) -> None:
        """Refuse a card whose labels are not as many as the model's classes."""
        labels = len(self._card.labels)
        if classes is not None and labels and labels != classes:
            raise ModelCardError(
                f"{labels} labels for a model with {classes} classes",
                hint="mend `labels` in the card or labels.txt; and check `head`",
            )

    def _wrong_shape(self, array: NDArray[np.float32]) -> ModelRunError:
        return ModelRunError(
            f"an output of shape {array.shape} does not fit head {self._card.head} "
            f"with {len(self._card.labels)} labels",
            hint="set `head` and `labels` in the card to what the exporter wrote",
        )


def finite(values: Floats) -> Floats:
    """The same values, known to be numbers, before they are clipped into a range.

    Raises:
        ModelRunError: one is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise ModelRunError(
            "a number of a candidate is not finite",
            hint="the model is broken or read by the wrong head: see `head` in its card",
        )
    return values


def is_number(spec: TensorSpec, rank: int) -> bool:
    """True for a tensor of floating point numbers with `rank` dimensions."""
    return spec.dtype is not None and spec.dtype.kind == "f" and len(spec.shape) == rank
