"""The seam between the engine and every kind of model.

An adapter knows one output head: how a picture becomes the model's input, and how the
model's outputs become a prediction. It has no state of the frame and calls no runtime, so
its decode can be tested with arrays alone.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from visionedge.entities import Image, Prediction
from visionedge.inference.geometry import Geometry
from visionedge.inference.tensors import Outputs

Inputs = Mapping[str, NDArray[Any]]
"""Tensors by input name, ready for the session."""


class ModelAdapter(Protocol):
    """Reads one kind of model. Not shared between threads: each worker has its own."""

    def preprocess(self, image: Image) -> tuple[Inputs, Geometry]:
        """Fill the model's input.

        Args:
            image: (H, W, 3) uint8 BGR, any size; not changed.

        Returns:
            Tensors that stay valid until the next call of `preprocess`, because they are
            views of a buffer that is used again; and how the picture was fitted in.

        Raises:
            ModelRunError: it is no such picture.
        """

    def decode(self, outputs: Outputs, geometry: Geometry) -> Prediction:
        """Read the model's outputs, in the order of the session.

        Returns:
            Boxes in pixels of the original picture, or classes.

        Raises:
            ModelRunError: the outputs are not what this head gives (shape, NaN).
        """
