"""From a frame to a model's input tensor, into the same memory every time.

The way was chosen by measurement: one resize into a small uint8 buffer, a split into
planes (the order of the split targets swaps the colours for nothing), and one look-up a
plane straight into the tensor. That is several times as fast as the usual resize,
cvtColor, divide, transpose, and allocates nothing. The padding is written when the
frame's size changes and never again, because only the inside of it is overwritten.

There are only 256 pixel values, so scale, mean, deviation and type are one table a
channel, computed once by the arithmetic of the training scripts in its own order: by 255,
less mean, by deviation. So the tensor equals theirs to the last bit, which matters: a
dynamically quantised model answers one bit with scores that differ by 0.05 (measured on
YOLO11n INT8, multiplying by 1/255 instead of dividing by 255).

`blobFromImage` was measured slower, and a uint8 input converted within the graph too.
Interpolation is linear unless the card says otherwise: it is what the exporters' own
scripts do, and the models' scores move with it.

What this does not promise: bytes equal to PIL's resize, which filters when it shrinks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.card import InputCard
from visionedge.inference.geometry import Geometry, Placement, place
from visionedge.inference.image_resize import Resize, resize_into
from visionedge.inference.tensors import TensorSpec, is_planar

_INTERPOLATION: Final[Mapping[str, int]] = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}
_DTYPES: Final = ("float32", "float16", "float64", "uint8")
_SAME_SCALE: Final = 1e-9
_Move = tuple[NDArray[np.uint8], NDArray[Any], NDArray[Any] | None]
"""Pixels, where they go, and the table they go through; None where they stay as they are."""


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
        self._tables = _tables(card, layout.channels, dtype)
        inner = (layout.height, layout.width)
        shape = (layout.channels, *inner) if layout.planar else (*inner, layout.channels)
        self.tensor: Final = np.zeros((1,) * (len(spec.shape) - 3) + shape, dtype)
        self._picture = self.tensor.reshape(shape)
        self._shape: tuple[int, ...] = ()
        self._placement: Placement | None = None
        self._resize: Resize
        self._split: Callable[[], object] = _nothing

    def write(self, image: Image) -> Geometry:
        """Fill `tensor` from a frame.

        Args:
            image: (H, W, 3) uint8 BGR, any size; not changed. A mirror image may be a view.

        Raises:
            ModelRunError: it is no such picture.
        """
        placement = self._placement
        if placement is None or image.shape != self._shape or image.dtype != np.uint8:
            placement = self._prepare(image)
        try:
            self._resize(image)
            self._split()
            for plane, target, table in self._moves:
                if table is None:
                    np.copyto(target, plane)
                else:
                    cv2.LUT(plane, table, dst=target)
        except cv2.error as error:
            raise ModelRunError(
                f"OpenCV could not prepare a frame of shape {image.shape}: {error.err}",
                hint="check the camera's size",
            ) from error
        return placement.geometry

    def _prepare(self, image: Image) -> Placement:
        """Lay out the buffers for frames of this size, and write the padding."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ModelRunError(
                f"a frame of shape {image.shape} and type {image.dtype} is no picture",
                hint="frames are (H, W, 3) uint8, BGR",
            )
        # Nothing holds for any size until all of it is laid out.
        self._placement = None
        frame_size = (image.shape[1], image.shape[0])
        placement = place(self._card.fit, frame_size, self.size, self._card.resize_px)
        p = placement
        self._small = np.empty((p.height, p.width, 3), np.uint8)
        self._resize = resize_into(self._small, p.cut, self._interpolation)
        self._picture[...] = self._padding()
        rows, columns = slice(p.top, p.top + p.height), slice(p.left, p.left + p.width)
        self._moves = self._plan(rows, columns)
        self._shape, self._placement = image.shape, placement
        return placement

    def _plan(self, rows: slice, columns: slice) -> list[_Move]:
        """What is looked up from where to where, for the inside of the padding."""
        layout, color = self._layout, self._card.color
        size = self._small.shape[:2]
        if color == "gray":
            gray = np.empty(size, np.uint8)
            self._split = partial(cv2.cvtColor, self._small, cv2.COLOR_BGR2GRAY, dst=gray)
            target = self._picture.reshape(layout.height, layout.width)[rows, columns]
            return [_move(gray, target, self._tables)]
        if not layout.planar:
            turned = self._small
            self._split = _nothing
            if color == "rgb":
                turned = np.empty_like(self._small)
                self._split = partial(cv2.cvtColor, self._small, cv2.COLOR_BGR2RGB, dst=turned)
            return [_move(turned, self._picture[rows, columns], self._tables)]
        planes = [np.empty(size, np.uint8) for _ in range(layout.channels)]
        self._split = partial(cv2.split, self._small, planes)
        ordered = planes[::-1] if color == "rgb" else planes
        return [
            _move(plane, self._picture[channel, rows, columns], self._tables[..., channel])
            for channel, plane in enumerate(ordered)
        ]

    def _padding(self) -> NDArray[Any]:
        """The padded pixel, in the shape that covers the tensor."""
        pixel: NDArray[Any] = self._tables[0, self._card.pad]
        return pixel[:, None, None] if self._layout.planar else pixel


def _layout(card: InputCard, spec: TensorSpec) -> _Layout:
    if len(spec.shape) not in (3, 4):
        raise ModelCardError(f"input {spec} is no picture", hint="it needs 3 or 4 dimensions")
    if len(spec.shape) == 4 and spec.shape[0] not in (None, 1):
        raise ModelCardError(
            f"input {spec} takes {spec.shape[0]} pictures at once",
            hint="export the model with batch 1 or a free batch dimension",
        )
    first, middle, last = spec.shape[-3:]
    planar = is_planar(spec) if card.layout is None else card.layout == "nchw"
    if planar is None:
        raise ModelCardError(
            f"input {spec} has no dimension of 1 or 3 channels", hint="set input.layout in the card"
        )
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


def _tables(card: InputCard, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """What becomes of each pixel value: (1, 256, channels) of the tensor's type."""
    values = np.repeat(np.arange(256, dtype=np.float32)[None, :, None], channels, axis=2)
    divisor = round(1 / card.scale)
    if abs(1 / divisor - card.scale) < _SAME_SCALE:
        values /= np.float32(divisor)
    else:
        values *= np.float32(card.scale)
    if card.mean:
        values -= np.array(card.mean, np.float32)
    if card.std:
        values /= np.array(card.std, np.float32)
    return values.astype(dtype)


def _move(plane: Image, target: NDArray[Any], tables: NDArray[Any]) -> _Move:
    table = np.ascontiguousarray(tables)
    if table.dtype == np.float16:
        # Only moved here, not computed with, so its bits may pass as integers.
        return plane, target.view(np.int16), table.view(np.int16)
    if (table.swapaxes(1, -1) == np.arange(256)).all():
        # A plain copy is faster yet.
        return plane, target, None
    return plane, target, table


def _nothing() -> None:
    """BGR with channels last is what the resize gave."""


def hot_regions(heat: NDArray[np.float32], limit: float, most: int) -> NDArray[np.float32]:
    """Boxes around the connected parts of a map that reach a limit.

    Args:
        heat: (h, w) float32, finite.
        limit: cells of at least this heat belong to a part.
        most: how many parts, the hottest first.

    Returns:
        (k, 4) float32, xyxy, in cells.
    """
    above = (heat >= limit).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    peaks = np.full(count, -np.inf, np.float32)
    np.maximum.at(peaks, parts.ravel().astype(np.intp), heat.ravel())
    hottest = 1 + np.argsort(-peaks[1:], kind="stable")[:most]
    x, y, width, height = stats[hottest, :4].T.astype(np.float32)
    return np.stack([x, y, x + width, y + height], axis=1)


def read_image(path: Path) -> Image | None:
    """A picture file as (H, W, 3) uint8 BGR, or None where it is none."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    if not content.size:
        return None
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else image.astype(np.uint8, copy=False)
