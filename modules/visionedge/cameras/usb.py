"""A camera of the device itself, through V4L2.

Motion JPEG is asked for first: raw pictures of 1280 x 720 fill a USB 2 bus at 10 frames a
second. Size and rate are wishes; a driver takes the nearest it has, and the log tells
which.

V4L2 in OpenCV waits for a frame as long as `OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT` says, for
all cameras of the process alike; see `settings.vendors`.
"""

import logging
import os
from pathlib import Path
from typing import Final

import cv2

from visionedge.cameras.capture import Capture
from visionedge.cameras.source import Traits
from visionedge.entities import Image
from visionedge.errors import CameraUnavailable
from visionedge.settings import UsbCamera
from visionedge.settings.vendors import V4L_TIMEOUT_S

log: Final = logging.getLogger(__name__)
_OPEN_TIMEOUT_S: Final = 15.0
"""Some cameras take seconds to wake; there is no timeout to give to V4L2."""
_MOTION_JPEG: Final = cv2.VideoWriter.fourcc(*"MJPG")


def wishes(settings: UsbCamera) -> tuple[tuple[int, float], ...]:
    """(property, value) in the order that V4L2 needs: the format decides the sizes."""
    return (
        (cv2.CAP_PROP_FOURCC, _MOTION_JPEG),
        (cv2.CAP_PROP_FRAME_WIDTH, settings.width_px),
        (cv2.CAP_PROP_FRAME_HEIGHT, settings.height_px),
        (cv2.CAP_PROP_FPS, settings.fps),
    )


class UsbSource:
    """A `CameraSource` of a video device."""

    def __init__(self, settings: UsbCamera) -> None:
        self.traits = Traits(
            open_timeout_s=_OPEN_TIMEOUT_S,
            read_timeout_s=max(settings.read_timeout_s, V4L_TIMEOUT_S),
            live=True,
        )
        self._settings = settings
        self._capture = Capture()

    def open(self) -> None:
        """Open the device and ask for size and rate.

        Raises:
            CameraUnavailable: there is no such device, or it may not or cannot be opened.
        """
        device = Path(self._settings.device)
        if not device.exists():
            raise CameraUnavailable(
                f"{device} does not exist",
                hint="plug the camera in; a container gets it by HostConfig.Devices",
            )
        if not device.is_char_device():
            raise CameraUnavailable(f"{device} is no device", hint="it is mostly /dev/video0")
        if not os.access(device, os.R_OK | os.W_OK):
            raise CameraUnavailable(
                f"{device} may not be opened", hint="add the module's user to the group `video`"
            )
        if not self._capture.open(str(device), cv2.CAP_V4L2):
            raise CameraUnavailable(
                f"{device} gives no video",
                hint="another program may hold it, or it is no capture device",
            )
        for property_id, value in wishes(self._settings):
            self._capture.set(property_id, value)
        log.info(
            "%s gives %.0f x %.0f at %.0f frames/s",
            device,
            self._capture.get(cv2.CAP_PROP_FRAME_WIDTH),
            self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT),
            self._capture.get(cv2.CAP_PROP_FPS),
        )

    def grab(self) -> None:
        """Wait for the next frame.

        Raises:
            CameraUnavailable: none came in time, or the camera was pulled out; reopen.
        """
        if not self._capture.grab():
            raise CameraUnavailable(
                f"{self._settings.device} gives no more frames", hint="check plug and cable"
            )

    def retrieve(self) -> tuple[Image, None]:
        """Decode the frame."""
        return self._capture.retrieve(), None

    def close(self) -> None:
        """Let go of the device."""
        self._capture.close()
