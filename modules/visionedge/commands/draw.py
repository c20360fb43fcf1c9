"""Draw a prediction into a picture, so that it can be read from across the room.

One colour a class, the same in every picture; a label on a filled tag, outside its box
where there is room and inside where there is not. Ground truth is drawn thin and white
under the boxes, so that what the model missed stands out.
"""

import zlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.commands import places
from visionedge.entities import Classification, Detections, Image, Prediction

Colour = tuple[int, int, int]
Floats = NDArray[np.float32]
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_WHITE: Final[Colour] = (255, 255, 255)
_BLACK: Final[Colour] = (0, 0, 0)
_INK: Final[Colour] = (32, 32, 32)
_SCALE_AT_PX: Final = 1100
"""Shorter side at which text has its natural size."""
_DARK: Final = 110
"""Luma below which letters are white."""
_TOP: Final = 5


def draw(
    image: Image, prediction: Prediction, *, truth: Prediction | None = None, title: str = ""
) -> Image:
    """A copy of `image` with the prediction drawn in.

    Args:
        image: (H, W, 3) uint8 BGR; not changed.
        prediction: boxes in pixels of `image`, or classes.
        truth: what is really there, where it is known.
        title: one line along the lower edge.
    """
    canvas = np.ascontiguousarray(image).copy()
    pen = _Pen(canvas)
    if isinstance(truth, Detections):
        for xyxy in truth.xyxy:
            pen.box(xyxy, _WHITE, pen.line)
    if isinstance(prediction, Detections):
        pen.detections(prediction)
    else:
        pen.classes(prediction, truth)
    if title:
        pen.title(title)
    return canvas


def colour_of(label: str) -> Colour:
    """The colour of a class, BGR: by its name, so that it is the same everywhere."""
    number = zlib.crc32(label.encode())
    pixel = np.array([[[number % 180, 130 + number // 180 % 3 * 60, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red)


class _Pen:
    """Draws in sizes that suit the picture."""

    def __init__(self, canvas: Image) -> None:
        self._canvas = canvas
        self._height, self._width = canvas.shape[:2]
        shorter = min(canvas.shape[:2])
        self._scale = float(np.clip(shorter / _SCALE_AT_PX, 0.4, 2.5))
        self.line = max(1, round(self._scale * 1.5))
        self._gap = round(6 * self._scale)
        self._taken: list[tuple[int, int, int, int]] = []

    def detections(self, found: Detections) -> None:
        """Boxes, the surest on top, and then tags, the surest with the first choice of place."""
        for index in reversed(range(len(found))):
            self.box(found.xyxy[index], colour_of(found.label(index)), 2 * self.line)
        for index in range(len(found)):
            text = f"{found.label(index)} {found.confidence[index]:.2f}"
            self._tag(found.xyxy[index], text, colour_of(found.label(index)))

    def box(self, xyxy: Floats, colour: Colour, line: int) -> None:
        """A rectangle."""
        x1, y1, x2, y2 = _whole(xyxy)
        cv2.rectangle(self._canvas, (x1, y1), (x2, y2), colour, line, cv2.LINE_AA)

    def classes(self, found: Classification, truth: Prediction | None) -> None:
        """The best classes as a list, what it really is below them, and where a map was hot."""
        for xyxy in found.hot:
            self.box(xyxy, colour_of(found.label(found.top(1)[0][0])), 2 * self.line)
        top = self._gap
        for class_id, confidence in found.top(_TOP):
            text = f"{found.label(class_id)} {confidence:.2f}"
            self._text(text, self._gap, top, colour_of(found.label(class_id)))
            top += self._size(text)[1]
        if isinstance(truth, Classification):
            best = truth.label(truth.top(1)[0][0])
            self._text(f"truth: {best}", self._gap, top, _WHITE)

    def title(self, text: str) -> None:
        """A line along the lower edge."""
        self._text(text, 0, self._height - self._size(text)[1], _BLACK)

    def _tag(self, xyxy: Floats, text: str, colour: Colour) -> None:
        """A tag above the box, or else below it or inside, where no other tag is."""
        width, height = self._size(text)
        x1, y1, x2, y2 = _whole(xyxy)
        places = [
            (x1, y1 - height),
            (x1, y2),
            (x2 - width, y1 - height),
            (x2 - width, y2),
            (x1, y1),
        ]
        inside = [
            (min(max(left, 0), max(self._width - width, 0)), top)
            for left, top in places
            if top >= 0 and top + height <= self._height
        ]
        fallback = (max(x1, 0), max(y1, 0))
        free = (p for p in inside if not self._is_taken(*p, width, height))
        left, top = next(free, inside[0] if inside else fallback)
        self._taken.append((left, top, left + width, top + height))
        self._text(text, left, top, colour)

    def _is_taken(self, left: int, top: int, width: int, height: int) -> bool:
        return any(
            left < x2 and x1 < left + width and top < y2 and y1 < top + height
            for x1, y1, x2, y2 in self._taken
        )

    def _size(self, text: str) -> tuple[int, int]:
        (width, height), base = cv2.getTextSize(text, _FONT, self._scale, self.line)
        return width + 2 * self._gap, height + base + self._gap

    def _text(self, text: str, left: int, top: int, background: Colour) -> None:
        width, height = self._size(text)
        cv2.rectangle(
            self._canvas, (left, top), (left + width, top + height), background, cv2.FILLED
        )
        blue, green, red = background
        ink = _WHITE if 0.11 * blue + 0.59 * green + 0.30 * red < _DARK else _INK
        (_, letters), _ = cv2.getTextSize(text, _FONT, self._scale, self.line)
        at = (left + self._gap, top + letters + self._gap // 2)
        cv2.putText(self._canvas, text, at, _FONT, self._scale, ink, self.line, cv2.LINE_AA)


def _whole(xyxy: Floats) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(float(edge)) for edge in xyxy)
    return x1, y1, x2, y2


def saved(drawing: Image, path: Path, option: str) -> None:
    """Write a drawing as PNG.

    Args:
        drawing: (H, W, 3) uint8 BGR.
        path: of the file, in a place from `places`; OpenCV would crash where it is no UTF-8.
        option: that names the place.

    Raises:
        SettingsError: it cannot be written.
    """
    if not cv2.imwrite(str(path), drawing):
        raise places.unwritable(path, option, "the write failed", "make room")
