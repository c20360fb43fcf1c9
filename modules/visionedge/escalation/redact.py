"""The stage that every picture passes before it can leave: what must not be seen is black.

Only this file makes a `RedactedImage`, and only a `RedactedImage` can be encoded (see
`escalation.jpeg`), so a picture cannot come near spool or network around it. An
architecture test holds both. A stage that fails lets its exception through: no picture is
better than one that shows too much.

Zones are painted from outside in: whatever a zone encloses is masked, also where its outline
crosses itself, and a zone takes along the pixels that its border only touches. The mask is
made once a camera and size of frame, so a frame costs one pass over its pixels, and nothing
where its camera has no zones.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Frame, Image
from visionedge.settings import Settings

_SHOWN: Final = 255


@dataclass(frozen=True, slots=True, eq=False)
class RedactedImage:
    """A picture that may leave the device. Made by `Redactor.redact` and nowhere else.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, read-only, the size of the frame.
        masked: number of areas that were made black.
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

    def redact(self, frame: Frame) -> RedactedImage:
        """The picture of `frame` with the zones of its camera made black.

        Raises:
            KeyError: these settings do not know the camera, so nobody can say what must not
                be seen; do not send the frame.
        """
        zones = self._zones[frame.camera_id]
        if not zones:
            return RedactedImage(frame.image, masked=0)
        pixels = np.zeros_like(frame.image)
        cv2.copyTo(frame.image, self._shown_part(frame), pixels)
        pixels.flags.writeable = False
        return RedactedImage(pixels, masked=len(zones))

    def _shown_part(self, frame: Frame) -> Image:
        """(H, W) uint8, zero where nothing may be seen."""
        shown = self._shown.get(frame.camera_id)
        if shown is None or shown.shape != frame.image.shape[:2]:
            shown = np.full(frame.image.shape[:2], _SHOWN, dtype=np.uint8)
            for zone in self._zones[frame.camera_id]:
                _hide(shown, zone)
            self._shown[frame.camera_id] = shown
        return shown


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
