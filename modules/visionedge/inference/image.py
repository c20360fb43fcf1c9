"""From a frame to a model's input tensor, into the same memory every time.

The way was chosen by measurement: one resize into a small uint8 buffer, a split into
planes (the order of the split targets swaps the colours for nothing), and one division
a plane straight into the float tensor. That is three to four times as fast as the usual
resize, cvtColor, divide, transpose, and allocates nothing. The padding is written when
the frame's size changes and never again, because only the inside of it is overwritten.

`blobFromImage` was measured slower, and a uint8 input converted within the graph too.
Interpolation is linear unless the card says otherwise: it is what the exporters' own
scripts do, and the models' scores move with it.

The arithmetic is that of the training scripts, in their order, to the last bit: by 255,
less mean, by deviation. Folding it into one gain and bias is no faster here, and a
dynamically quantised model answers a difference of one bit with scores that differ by
0.05 (measured on YOLO11n INT8).

What this does not promise: bytes equal to PIL's resize, which filters when it shrinks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.card import InputCard
from visionedge.inference.geometry import Geometry, Placement, place
from visionedge.inference.tensors import TensorSpec

_INTERPOLATION: Final[Mapping[str, int]] = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}
_DTYPES: Final = ("float32", "float16", "float64", "uint8")
_DIRECT: Final = ("float32", "uint8")
"""Types that pixels are computed in; others are converted at the end."""
_CHANNELS: Final = (1, 3)
_SAME_SCALE: Final = 1e-9
Step = Callable[[NDArray[Any], NDArray[Any]], None]
"""One operation from a source into a target of the same shape, which may be the same array."""


def use_one_thread() -> None:
    """Let OpenCV work in the thread that calls it, for the whole of the program.

    There are as many workers as cores already; a pool beneath each of them only makes
    them wait for one another.
    """
    cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where width, height and channels are in an input, and how many."""

    width: int
    height: int
    channels: int
    planar: bool


class InputWriter:
    """Writes frames into one input tensor. Belongs to one thread.

    Args:
        card: how pictures are prepared.
        spec: the input.

    Raises:
        ModelCardError: card and input do not fit together.
    """

    def __init__(self, card: InputCard, spec: TensorSpec) -> None:
        layout = _layout(card, spec)
        dtype = _dtype(card, spec)
        self.size: Final = (layout.width, layout.height)
        self._card = card
        self._layout = layout
        self._interpolation = _INTERPOLATION[card.interpolation]
        self._steps = _arithmetic(card, layout.channels)
        inner = (layout.height, layout.width)
        shape = (layout.channels, *inner) if layout.planar else (*inner, layout.channels)
        self.tensor: Final = np.zeros((1,) * (len(spec.shape) - 3) + shape, dtype)
        # Half precision is too coarse to subtract a mean in.
        self._work = self.tensor if dtype in _DIRECT else np.zeros(self.tensor.shape, np.float32)
        chw = self._work.reshape(shape)
        self._chw = chw if layout.planar else chw.transpose(2, 0, 1)
        self._placement: Placement | None = None

    def write(self, image: Image) -> Geometry:
        """Fill `tensor` from a frame.

        Args:
            image: (H, W, 3) uint8 BGR, any size; not changed.

        Raises:
            ModelRunError: it is no such picture.
        """
        placement = self._placement
        if placement is None or image.shape != self._shape or image.dtype != np.uint8:
            placement = self._prepare(image)
        x1, y1, x2, y2 = placement.cut
        cv2.resize(
            image[y1:y2, x1:x2], self._inside, dst=self._small, interpolation=self._interpolation
        )
        if len(self._planes) == 1:
            cv2.cvtColor(self._small, cv2.COLOR_BGR2GRAY, dst=self._planes[0])
        else:
            cv2.split(self._small, self._planes)
        for plane, target, steps in self._moves:
            source = plane
            for step in steps:
                step(source, target)
                source = target
        if self._work is not self.tensor:
            np.copyto(self.tensor, self._work, casting="unsafe")
        return placement.geometry

    def _prepare(self, image: Image) -> Placement:
        """Lay out the buffers for frames of this size, and write the padding."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ModelRunError(
                f"a frame of shape {image.shape} and type {image.dtype} is no picture",
                hint="frames are (H, W, 3) uint8, BGR",
            )
        frame_size = (image.shape[1], image.shape[0])
        placement = place(self._card.fit, frame_size, self.size, self._card.resize_px)
        p = placement
        self._inside = (p.width, p.height)
        self._small = np.empty((p.height, p.width, 3), np.uint8)
        channels = self._layout.channels
        self._planes = [np.empty((p.height, p.width), np.uint8) for _ in range(channels)]
        targets = self._chw[:, p.top : p.top + p.height, p.left : p.left + p.width]
        order = reversed(range(channels)) if self._card.color == "rgb" else range(channels)
        self._moves = [
            (self._planes[channel], targets[position], self._steps[position])
            for position, channel in enumerate(order)
        ]
        for target, steps in zip(self._chw, self._steps, strict=True):
            target[...] = self._card.pad
            for step in steps:
                step(target, target)
        self._shape, self._placement = image.shape, placement
        return placement


def _layout(card: InputCard, spec: TensorSpec) -> _Layout:
    if len(spec.shape) not in (3, 4):
        raise ModelCardError(f"input {spec} is no picture", hint="it needs 3 or 4 dimensions")
    if len(spec.shape) == 4 and spec.shape[0] not in (None, 1):
        raise ModelCardError(
            f"input {spec} takes {spec.shape[0]} pictures at once",
            hint="export the model with batch 1 or a free batch dimension",
        )
    first, middle, last = spec.shape[-3:]
    planar = _is_planar(card, spec)
    channels, height, width = (first, middle, last) if planar else (last, first, middle)
    wanted = 1 if card.color == "gray" else 3
    if channels not in (None, wanted):
        raise ModelCardError(
            f"input {spec} has {channels} channels, and the card's color `{card.color}` {wanted}",
            hint="set input.color to gray for one channel, to rgb or bgr for three",
        )
    return _Layout(
        _side(width, card.width_px, "width_px", spec),
        _side(height, card.height_px, "height_px", spec),
        wanted,
        planar,
    )


def _is_planar(card: InputCard, spec: TensorSpec) -> bool:
    if card.layout is not None:
        return card.layout == "nchw"
    first, _, last = spec.shape[-3:]
    if first not in _CHANNELS and last in _CHANNELS:
        return False
    if first in _CHANNELS or first is None:
        return True
    raise ModelCardError(
        f"input {spec} has no dimension of 1 or 3 channels", hint="set input.layout in the card"
    )


def _side(fixed: int | None, wanted: int | None, field: str, spec: TensorSpec) -> int:
    if fixed is None:
        if wanted is None:
            raise ModelCardError(
                f"input {spec} leaves its size free", hint=f"set input.{field} in the card"
            )
        return wanted
    if wanted not in (None, fixed):
        raise ModelCardError(
            f"input {spec} does not take input.{field} = {wanted}", hint=f"{field} is {fixed} here"
        )
    return fixed


def _dtype(card: InputCard, spec: TensorSpec) -> np.dtype[Any]:
    if spec.dtype is None or spec.dtype.name not in _DTYPES:
        raise ModelCardError(
            f"input {spec} is no picture", hint=f"its type must be one of {', '.join(_DTYPES)}"
        )
    if spec.dtype == np.uint8 and (card.scale != 1 or card.mean or card.std):
        raise ModelCardError(
            f"input {spec} takes pixels as they are",
            hint="set input.scale to 1 and leave mean and std away",
        )
    return spec.dtype


def _arithmetic(card: InputCard, channels: int) -> list[list[Step]]:
    """What is done to the pixels of each channel, in this order; never nothing."""
    divisor = round(1 / card.scale)
    if card.scale == 1:
        first: Step = _copied
    elif abs(1 / divisor - card.scale) < _SAME_SCALE:
        first = _by(np.divide, divisor)
    else:
        first = _by(np.multiply, card.scale)
    steps = []
    for channel in range(channels):
        later = [
            _by(ufunc, values[channel % len(values)])
            for ufunc, values in ((np.subtract, card.mean), (np.divide, card.std))
            if values
        ]
        steps.append([first, *later])
    return steps


def _copied(source: NDArray[Any], target: NDArray[Any]) -> None:
    np.copyto(target, source, casting="unsafe")


def _by(ufunc: np.ufunc, number: float) -> Step:
    operand = np.float32(number)

    def step(source: NDArray[Any], target: NDArray[Any]) -> None:
        ufunc(source, operand, out=target, casting="unsafe")

    return step
