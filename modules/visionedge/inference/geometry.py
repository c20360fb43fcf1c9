"""How a picture is fitted into a model's input, and the way back for its boxes.

Everything is in edge coordinates: a picture spans from 0 to its width, and a pixel's
centre lies at one half. The fits, and whose arithmetic they follow to the pixel:

    letterbox           centred, sizes rounded: Ultralytics YOLOv5, v8, 11, 26
    letterbox_cut       centred, sizes cut: NanoDet, PicoDet, D-FINE, DEIM
    letterbox_top_left  padding right and below, sizes cut: YOLOX (Megvii)
    stretch             no aspect ratio kept: Custom Vision, most classifiers on devices
    crop                shorter side scaled, centre cut out: torchvision, Ultralytics classify

A letterbox maps back by the one ratio it was computed from, as the exporters do, and not
by the whole pixels that this was rounded to. The other way is truer by up to a pixel of
the input, and gives other boxes than everybody else's for the same model.
"""

from dataclasses import dataclass, field
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Fit = Literal["letterbox", "letterbox_cut", "letterbox_top_left", "stretch", "crop"]

_ROUNDING = 1e-6
"""Pixels; so that the side which the scale was made from is not cut to one less."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How one picture was fitted in: `input = frame * scale + offset`.

    Attributes:
        scale_x, scale_y: input pixels a frame pixel.
        offset_x, offset_y: where the frame's top left corner lies in the input; negative
            where the frame was cropped.
        width, height: of the frame, pixels.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    width: int
    height: int
    _offset: Floats = field(init=False, repr=False, compare=False)
    _scale: Floats = field(init=False, repr=False, compare=False)
    _border: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once a placement and not once a frame.
        for name, x, y in (
            ("_offset", self.offset_x, self.offset_y),
            ("_scale", self.scale_x, self.scale_y),
            ("_border", self.width, self.height),
        ):
            object.__setattr__(self, name, np.array([x, y, x, y], np.float32))

    def to_frame(self, xyxy: Floats) -> Floats:
        """Map boxes back.

        Args:
            xyxy: (n, 4) float32, pixels of the input.

        Returns:
            (n, 4) float32, pixels of the frame, xyxy, cut at its borders.
        """
        frame = (xyxy - self._offset) / self._scale
        np.maximum(frame, 0, out=frame)
        np.minimum(frame, self._border, out=frame)
        return frame

    def to_input(self, xyxy: Floats) -> Floats:
        """Map boxes of the frame, (n, 4) float32 xyxy, into pixels of the input; not cut."""
        return xyxy * self._scale + self._offset


@dataclass(frozen=True, slots=True)
class Placement:
    """What to cut from the frame, and where in the input to put it, scaled.

    Attributes:
        cut: x1, y1, x2, y2 in pixels of the frame.
        left, top, width, height: pixels of the input.
        geometry: the same as a mapping.
    """

    cut: tuple[int, int, int, int]
    left: int
    top: int
    width: int
    height: int
    geometry: Geometry


def place(
    fit: Fit, frame_size: tuple[int, int], input_size: tuple[int, int], resize_px: int | None = None
) -> Placement:
    """Plan how a frame is fitted in.

    Args:
        fit: see the module.
        frame_size: width, height.
        input_size: width, height.
        resize_px: for `crop`: length to which the shorter side is scaled before the cut, at
            least that of the input; None is the input's own.
    """
    everything = (0, 0, *frame_size)
    if fit == "stretch":
        return _scaled(frame_size, everything, input_size)
    if fit == "crop":
        return _scaled(frame_size, _centre_cut(frame_size, input_size, resize_px), input_size)
    scale = min(input_size[0] / frame_size[0], input_size[1] / frame_size[1])
    if fit == "letterbox":
        width, height = (max(1, round(side * scale)) for side in frame_size)
        left, top = (input_size[0] - width) // 2, (input_size[1] - height) // 2
    elif fit == "letterbox_cut":
        width, height = (max(1, int(side * scale + _ROUNDING)) for side in frame_size)
        left, top = (input_size[0] - width) // 2, (input_size[1] - height) // 2
    elif fit == "letterbox_top_left":
        width, height = (max(1, int(side * scale)) for side in frame_size)
        left, top = 0, 0
    else:
        assert_never(fit)
    geometry = Geometry(scale, scale, left, top, *frame_size)
    return Placement(everything, left, top, width, height, geometry)


def _centre_cut(
    frame_size: tuple[int, int], input_size: tuple[int, int], resize_px: int | None
) -> tuple[int, int, int, int]:
    # Cutting first and scaling once gives the same pixels as scaling all and cutting then.
    shorter = min(input_size)
    scale = max(i / f for i, f in zip(input_size, frame_size, strict=True))
    scale *= max(resize_px or shorter, shorter) / shorter
    width, height = (
        min(f, max(1, round(i / scale))) for i, f in zip(input_size, frame_size, strict=True)
    )
    left, top = (frame_size[0] - width) // 2, (frame_size[1] - height) // 2
    return left, top, left + width, top + height


def _scaled(
    frame_size: tuple[int, int], cut: tuple[int, int, int, int], input_size: tuple[int, int]
) -> Placement:
    """The cut, scaled to fill the input."""
    scale_x = input_size[0] / (cut[2] - cut[0])
    scale_y = input_size[1] / (cut[3] - cut[1])
    geometry = Geometry(scale_x, scale_y, -cut[0] * scale_x, -cut[1] * scale_y, *frame_size)
    return Placement(cut, 0, 0, *input_size, geometry)
