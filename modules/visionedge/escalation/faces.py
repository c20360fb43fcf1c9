"""Faces in a picture, found by a YuNet model on OpenCV's own runtime.

OpenCV 5 ships no face cascade any more (`cv2.data` is empty and `CascadeClassifier` gone),
and weights of a face detector are not ours to hand on: so the model is a file that the
settings name. YuNet (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023) is
what `cv2.FaceDetectorYN` reads.

It is proven when it is loaded, so a wrong file is refused with the settings that name it.
What this does not promise: that every face is found. Small, turned and covered ones are
missed by all detectors; a mask zone is what holds without one.
"""

import threading
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image
from visionedge.errors import RedactionError, SettingsError

_FIELD: Final = "escalation.redaction.face_model"
_LONGEST_PX: Final = 1280
"""Faces are looked for at this size; larger pictures are scaled down, and take longer."""
_LEAST_PX: Final = 32
_OVERLAP: Final = 0.3
_MOST: Final = 1000


class FaceFinder:
    """Finds faces. Safe for many threads, one at a time.

    Args:
        path: of the ONNX file.
        confidence: from which a face counts, 0..1.

    Raises:
        SettingsError: the file is no face detector.
    """

    def __init__(self, path: str, confidence: float) -> None:
        self._lock = threading.Lock()
        try:
            self._detector = cv2.FaceDetectorYN.create(
                path, "", (320, 320), confidence, _OVERLAP, _MOST
            )
            self.find(np.zeros((320, 320, 3), np.uint8))
        except (cv2.error, RedactionError) as error:
            reason = f"{path} is no YuNet face detector: {' '.join(str(error).split())[:200]}"
            raise SettingsError(
                f"{_FIELD}: {reason}", fields={_FIELD: reason}, hint="name a YuNet ONNX file"
            ) from error

    def find(self, image: Image) -> list[NDArray[np.float32]]:
        """Boxes of faces, each (4,) float32 xyxy in pixels of `image`.

        Raises:
            RedactionError: it failed on this picture, or gave what is no box.
        """
        if not image.size:
            raise RedactionError("there is no picture to look for faces in")
        height, width = image.shape[:2]
        scale = min(1.0, _LONGEST_PX / max(height, width))
        size = (max(_LEAST_PX, round(width * scale)), max(_LEAST_PX, round(height * scale)))
        try:
            with self._lock:
                self._detector.setInputSize(size)
                small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                # The stubs do not know that there may be none.
                faces: Any = self._detector.detect(small)[1]
        except cv2.error as error:
            raise RedactionError(
                f"the face detector failed: {' '.join(str(error).split())[:200]}",
                hint=f"check {_FIELD}",
            ) from error
        if faces is None:
            return []
        boxes = np.asarray(faces, np.float32)[:, :4]
        if not np.isfinite(boxes).all():
            raise RedactionError("the face detector gave what is no box", hint=f"check {_FIELD}")
        boxes[:, 2:] += boxes[:, :2]
        boxes *= np.array([width / size[0], height / size[1]] * 2, np.float32)
        return list(boxes)
