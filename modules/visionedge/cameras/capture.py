"""One typed door to `cv2.VideoCapture`, for video files, network cameras and USB cameras.

OpenCV answers every failure with False, and some with an exception of its own; here all
of them become our errors. Its constructor, `grab`, `retrieve` and `release` let go of the
GIL, so a camera that keeps one waiting stops nobody else.

One decoder thread a capture: FFmpeg's frame threads hold back a frame each before the
first comes out, and the cores are busy with inference anyway.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from visionedge.entities import Image
from visionedge.errors import CameraUnavailable
from visionedge.runtime.frame_memory import FRAMES, FrameMemory
from visionedge.settings.vendors import tame_opencv

ONE_THREAD: Final = (cv2.CAP_PROP_N_THREADS, 1)


def silence_opencv() -> None:
    """Turn off what OpenCV writes to stderr by itself, where nobody asked for it."""
    if tame_opencv():
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


silence_opencv()


class Capture:
    """A capture that is open or not. Used by one thread at a time.

    Args:
        memory: where its frames lie.
    """

    def __init__(self, memory: FrameMemory = FRAMES) -> None:
        self._native: cv2.VideoCapture | None = None
        self._memory = memory
        self._shape: tuple[int, ...] | None = None

    def open(self, address: str, backend: int, params: Sequence[int] = ()) -> bool:
        """Open `address` with one backend; False if that fails, for whatever reason."""
        self.close()
        try:
            native = cv2.VideoCapture(address, backend, list(params))
        except cv2.error:
            return False
        if not native.isOpened():
            return False
        self._native = native
        return True

    def grab(self) -> bool:
        """Advance by one frame; False when there is none in time, or no more."""
        if self._native is None:
            return False
        try:
            return self._native.grab()
        except cv2.error:
            return False

    def retrieve(self) -> Image:
        """The grabbed frame, (H, W, 3) uint8 BGR, in memory that no other frame has.

        Raises:
            CameraUnavailable: it could not be converted, or none was grabbed.
        """
        if self._native is None:
            raise CameraUnavailable("no frame was grabbed")
        # OpenCV writes where it is told to; what does not fit, as the first, it allocates.
        into = self._memory.array(self._shape) if self._shape else None
        try:
            ok, image = self._native.retrieve(into)
        except cv2.error as error:
            raise CameraUnavailable(f"a frame could not be decoded: {error.err}") from None
        if not ok or image is None or image.size == 0 or image.dtype != np.uint8:
            raise CameraUnavailable("a frame could not be decoded")
        if image.shape[2:] != (3,):
            return _as_bgr(image)
        self._shape = image.shape
        return np.asarray(image, np.uint8)

    def get(self, property_id: int) -> float:
        """A property of the open capture; 0 where it is closed or does not know."""
        return self._native.get(property_id) if self._native is not None else 0.0

    def set(self, property_id: int, value: float) -> bool:
        """Ask for a property; False where the camera or the driver will not have it."""
        return self._native is not None and self._native.set(property_id, value)

    def close(self) -> None:
        """Release the capture; may be called twice."""
        if self._native is not None:
            self._native.release()
            self._native = None


def _as_bgr(image: np.ndarray) -> Image:
    """(H, W, 3), whatever a driver that ignores CONVERT_RGB gave."""
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.shape[2] == 4:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR), np.uint8)
    raise CameraUnavailable(f"a frame has {image.shape[2]} channels, not 3")
