"""The video that benchmarks decode: it pans over frames, as a camera over a line.

It is H.264 as cameras send it (no frames that refer to later ones, a whole picture every two
seconds, 4 Mbit/s) where PyAV is installed: `pip install 'visionedge[bench]'` brings it. Else
it is MPEG-4 Part 2, the best that OpenCV's wheels can write, which takes about a quarter less
to decode; every table says which one it was.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from bench.frames import SIZE
from bench.report import Unavailable
from visionedge.entities import Image

CODEC: Final = "H.264" if find_spec("av") else "MPEG-4"
_FRAMES: Final = 112
_FPS: Final = 30
_KEY_FRAMES: Final = 60
_BITS_A_SECOND: Final = 4_000_000
_PAN_PX: Final = 6


def write_clip(path: Path, frames: Sequence[Image]) -> Path:
    """Write about four seconds of video over `frames`.

    Raises:
        Unavailable: there is no encoder here.
    """
    if CODEC == "H.264":
        _write_h264(path, frames)
    else:
        _write_mpeg4(path, frames)
    return path


def panned(frames: Sequence[Image]) -> Iterator[Image]:
    """What the camera sees: each of `frames` in turn moves by, and then comes the next."""
    for frame in frames:
        for step in range(_FRAMES // len(frames)):
            yield np.roll(frame, -step * _PAN_PX, axis=1)


def _write_h264(path: Path, frames: Sequence[Image]) -> None:
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=_FPS, options={"preset": "veryfast", "bf": "0"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = _BITS_A_SECOND
        stream.gop_size = _KEY_FRAMES
        for image in panned(frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode())


def _write_mpeg4(path: Path, frames: Sequence[Image]) -> None:
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, _FPS, SIZE)
    if not writer.isOpened():
        raise Unavailable(
            "OpenCV cannot write MPEG-4 here", hint="install opencv-python-headless from a wheel"
        )
    for image in panned(frames):
        writer.write(image)
    writer.release()
