"""Draw a prediction into a picture, so that it can be read from across the room.

One colour a class, the same in every picture; a label on a filled tag, outside its box
where there is room and inside where there is not. Ground truth is drawn thin and white
under the boxes, so that what the model missed stands out.
"""

import zlib
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections, Image, Prediction

Colour = tuple[int, int, int]
Floats = NDArray[np.float32]
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_WHITE: Final[Colour] = (255, 255, 255)
_BLACK: Final[Colour] = (0, 0, 0)
_INK: Final[Colour] = (32, 32, 32)
_SCALE_AT_PX: Final = 1100
"""Shorter side at which text has its natural size."""
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
        for index in range(len(truth)):
            pen.box(truth.xyxy[index], _WHITE, pen.line)
    if isinstance(prediction, Detections):
        # The surest last, so that it lies on top.
        for index in reversed(range(len(prediction))):
            label = prediction.label(index)
            pen.box(prediction.xyxy[index], colour_of(label), 2 * pen.line)
            pen.tag(
                prediction.xyxy[index],
                f"{label} {prediction.confidence[index]:.2f}",
                colour_of(label),
            )
    else:
        pen.list(prediction, truth)
    if title:
        pen.title(title)
    return canvas


def colour_of(label: str) -> Colour:
    """The colour of a class, BGR: by its name, so that it is the same everywhere."""
    hue = zlib.crc32(label.encode()) % 180
    pixel = np.array([[[hue, 200, 255]]], np.uint8)
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

    def box(self, xyxy: Floats, colour: Colour, line: int) -> None:
        x1, y1, x2, y2 = (round(float(edge)) for edge in xyxy)
        cv2.rectangle(self._canvas, (x1, y1), (x2, y2), colour, line, cv2.LINE_AA)

    def tag(self, xyxy: Floats, text: str, colour: Colour) -> None:
        width, height = self._size(text)
        left = int(np.clip(round(float(xyxy[0])), 0, max(0, self._width - width)))
        top = round(float(xyxy[1])) - height
        if top < 0:
            top = min(max(0, round(float(xyxy[1]))), max(0, self._height - height))
        self._text(text, left, top, colour)

    def list(self, found: Classification, truth: Prediction | None) -> None:
        top = self._gap
        for class_id, confidence in found.top(_TOP):
            text = f"{found.label(class_id)} {confidence:.2f}"
            self._text(text, self._gap, top, colour_of(found.label(class_id)))
            top += self._size(text)[1]
        if isinstance(truth, Classification):
            best = truth.label(truth.top(1)[0][0])
            self._text(f"truth: {best}", self._gap, top, _WHITE)

    def title(self, text: str) -> None:
        self._text(text, 0, self._height - self._size(text)[1], _BLACK)

    def _size(self, text: str) -> tuple[int, int]:
        (width, height), base = cv2.getTextSize(text, _FONT, self._scale, self.line)
        return width + 2 * self._gap, height + base + self._gap

    def _text(self, text: str, left: int, top: int, background: Colour) -> None:
        width, height = self._size(text)
        cv2.rectangle(
            self._canvas, (left, top), (left + width, top + height), background, cv2.FILLED
        )
        ink = _WHITE if sum(background) < 3 * 90 else _INK
        (_, letters), _ = cv2.getTextSize(text, _FONT, self._scale, self.line)
        at = (left + self._gap, top + letters + self._gap // 2)
        cv2.putText(self._canvas, text, at, _FONT, self._scale, ink, self.line, cv2.LINE_AA)
