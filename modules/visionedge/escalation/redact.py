"""The stage that every picture passes before it can leave: what must not be seen is black.

Only this file makes a `RedactedImage`, and only a `RedactedImage` can be encoded (see
`escalation.jpeg`), so a picture cannot come near spool or network around it. An
architecture test holds both. A stage that fails lets its exception through: no picture is
better than one that shows too much.

Faces, and boxes of labels that the settings hide, are coarsened to a few cells: enough to see
that somebody is there, and nothing that a sharper picture could be computed from. A face
detector that fails ends in an error, never in a picture.

Zones are painted from outside in: whatever a zone encloses is masked, also where its outline
crosses itself, and a zone takes along the pixels that its border only touches. The mask is
made once a camera and size of frame, so a frame costs one pass over its pixels, and nothing
where its camera has no zones.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections, Frame, Image, Prediction
from visionedge.escalation.faces import FaceFinder
from visionedge.escalation.thresholds import label_key
from visionedge.settings import Settings

_SHOWN: Final = 255
_CELLS: Final = 4
"""Each way in a coarsened box: nobody is recognised in sixteen cells."""
_GROWTH: Final = 0.15
"""Of a box's side: detectors cut off hair and chin."""


@dataclass(frozen=True, slots=True, eq=False)
class RedactedImage:
    """A picture that may leave the device. Made by `Redactor.redact` and nowhere else.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, read-only, the size of the frame.
        masked: number of areas that were made black or coarse.
    """

    pixels: Image
    masked: int


class Redactor:
    """Redacts by one revision of the settings. Safe for many threads."""

    def __init__(self, settings: Settings) -> None:
        self._zones = {
            name: [np.array(zone, dtype=np.float64) for zone in camera.masks]
            for name, camera in settings.cameras.items()
        }
        self._shown: dict[str, Image] = {}
        redaction = settings.escalation.redaction
        self._hide = frozenset(label_key(label) for label in redaction.hide)
        self._faces = (
            FaceFinder(redaction.face_model, redaction.face_confidence)
            if redaction.face_model
            else None
        )

    def redact(self, frame: Frame, prediction: Prediction) -> RedactedImage:
        """The picture of `frame` with the zones of its camera made black, and no faces.

        Args:
            frame: what the camera saw.
            prediction: of the same frame; boxes of hidden labels are coarsened.

        Raises:
            RedactionError: the face detector failed; do not send the frame.
            KeyError: these settings do not know the camera, so nobody can say what must not
                be seen; do not send the frame.
        """
        zones = self._zones[frame.camera_id]
        pixels = frame.image
        if zones:
            pixels = np.zeros_like(frame.image)
            cv2.copyTo(frame.image, self._shown_part(frame), pixels)
        private = self._private(pixels, prediction)
        if len(private):
            pixels = pixels.copy() if pixels is frame.image else pixels
            for box in private:
                _coarsen(pixels, box)
        if pixels is not frame.image:
            pixels.flags.writeable = False
        return RedactedImage(pixels, masked=len(zones) + len(private))

    def _private(self, pixels: Image, prediction: Prediction) -> list[NDArray[np.float32]]:
        """Boxes, (4,) float32 xyxy, of what must not be recognised."""
        boxes: list[NDArray[np.float32]] = []
        if self._hide and isinstance(prediction, Detections):
            boxes = [
                prediction.xyxy[i]
                for i in range(len(prediction))
                if label_key(prediction.label(i)) in self._hide
            ]
        if self._faces is not None:
            boxes.extend(self._faces.find(pixels))
        return boxes

    def _shown_part(self, frame: Frame) -> Image:
        """(H, W) uint8, zero where nothing may be seen."""
        shown = self._shown.get(frame.camera_id)
        if shown is None or shown.shape != frame.image.shape[:2]:
            shown = np.full(frame.image.shape[:2], _SHOWN, dtype=np.uint8)
            for zone in self._zones[frame.camera_id]:
                _hide(shown, zone)
            self._shown[frame.camera_id] = shown
        return shown


def _coarsen(pixels: Image, box: NDArray[np.float32]) -> None:
    """Leave only a few cells of `box` and a little around it, in place."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box.tolist()
    grow_x, grow_y = _GROWTH * (x2 - x1), _GROWTH * (y2 - y1)
    left, right = max(0, math.floor(x1 - grow_x)), min(width, math.ceil(x2 + grow_x))
    top, bottom = max(0, math.floor(y1 - grow_y)), min(height, math.ceil(y2 + grow_y))
    if left >= right or top >= bottom:
        return
    part = pixels[top:bottom, left:right]
    cells = (min(_CELLS, right - left), min(_CELLS, bottom - top))
    coarse = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(coarse, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)


def _hide(shown: Image, zone: NDArray[np.float64]) -> None:
    """Clear the pixels of `shown`, (H, W) uint8, that `zone` encloses; (n, 2), 0..1."""
    height, width = shown.shape
    corners = np.rint(zone * (width - 1, height - 1)).astype(np.int32)
    filled = np.zeros_like(shown)
    cv2.fillPoly(filled, [corners], 1)
    # Where an outline crosses itself fillPoly leaves the inside open; its outer contour does not.
    outer, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, outer, -1, 0, cv2.FILLED)
    cv2.drawContours(shown, outer, -1, 0, thickness=3)
