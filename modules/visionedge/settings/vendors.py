"""What libraries read from the environment, and must be told before it is too late."""

import os
from typing import Final

V4L_TIMEOUT_S: Final = 5
"""Longest wait of OpenCV for a frame of a USB camera, the same for all of a process."""


def silence_onnxruntime() -> None:
    """Keep ONNX Runtime from reporting usage to its makers, unless the operator said otherwise.

    Its Linux wheels since 1.29 send events by default, and write below the home folder,
    from the first session on; the variable counts only if it is set before the import
    (Privacy.md of the wheel).
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def tame_opencv() -> bool:
    """Tell OpenCV's video input what it can be told in no other way, where nobody did.

    - Without `IS_THREAD_SAFE` one lock is held while a capture opens: a camera that does
      not answer then keeps all others from opening, for its whole timeout, again and again
      (opencv/opencv 20114, 23601; FFmpeg needs no such lock since 4.0).
    - FFmpeg writes to stderr past the log, in lines that no log reader of IoT Edge knows,
      and for every damaged frame. What it has to say reaches us as the failure of a call.
    - V4L2 waits ten seconds for a frame by default.

    All of these are read when the first capture opens.

    Returns:
        True if OpenCV's own lines should be turned off too, because nobody has asked for
        them by `OPENCV_LOG_LEVEL`; that is read as cv2 is imported, too early for us.
    """
    os.environ.setdefault("OPENCV_FFMPEG_IS_THREAD_SAFE", "1")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(V4L_TIMEOUT_S))
    return "OPENCV_LOG_LEVEL" not in os.environ
