"""The least program that looks at cameras with a model: the floor of the module's memory.

    python -m bench.least_memory BUNDLE CLIP RUNS CAMERAS HELD [LIBRARY ...]

OpenCV's capture, ONNX Runtime with the module's options, one frame a camera, and no reading of the
answer. RUNS of the model at once, each on a tensor of its own: with 2 as the module has it while a
second look meets the next frame. CAMERAS play the clip at once, each decoded in a thread of its
own. HELD frames are kept besides, as a doubt is that waits for its best view, and one that is
looked at again. Each LIBRARY is imported before, and no use is made of it. What that and the load
left is given back. It says a word when it has looked at all, and waits to be ended, so that
whoever started it can read its peak.

What this does not promise: that its runs meet where they need most.
"""

import ctypes
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

WORD: Final = "looked"
_FRAMES: Final = 60


def main(bundle: str, clip: str, runs: str, cameras: str, held: str, *libraries: str) -> None:
    """Look at a few seconds of video."""
    for library in libraries:
        import_module(library)
    cv2.setNumThreads(1)
    session = _session(Path(bundle))
    _give_back()
    first = session.get_inputs()[0]
    # A batch of one, also where the model leaves that open.
    tensors = [np.zeros((1, *first.shape[1:]), np.float32) for _ in range(int(runs))]
    captures = [_Capture(clip) for _ in range(int(cameras))]
    kept = [np.empty((0,), np.uint8) for _ in range(int(held))]
    with ThreadPoolExecutor(len(captures)) as readers, ThreadPoolExecutor(len(tensors)) as runners:
        for _ in range(_FRAMES):
            # Lists, so that all are waited for, and what fails is heard of. The first is read on
            # this thread, so that one camera needs no other.
            others = readers.map(_Capture.read, captures[1:])
            images = [captures[0].read(), *others]
            for number, frame in enumerate(kept):
                kept[number] = _copied(images[0], frame)
            for number, tensor in enumerate(tensors):
                _write(images[number % len(images)], tensor)
            list(runners.map(lambda tensor: session.run(None, {first.name: tensor}), tensors))
    print(WORD, flush=True)
    sys.stdin.read()


def _session(bundle: Path) -> ort.InferenceSession:
    card = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    options.enable_mem_reuse = not card.get("release_early", False)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(bundle / "model.onnx", options, ["CPUExecutionProvider"])


def _give_back() -> None:
    """Let go of what imports and the load have left, as the module does; musl's libc cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _Capture:
    """A camera, and the one frame that it writes again and again."""

    def __init__(self, clip: str) -> None:
        self._clip = clip
        self._capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        self._image: cv2.typing.MatLike | None = None

    def read(self) -> cv2.typing.MatLike:
        seen, self._image = self._capture.read(self._image)
        if not seen:
            sys.exit(f"{self._clip} cannot be read")
        return self._image


def _copied(image: cv2.typing.MatLike, into: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if into.shape != image.shape:
        into = np.empty(image.shape, np.uint8)
    np.copyto(into, image)
    return into


def _write(image: cv2.typing.MatLike, tensor: NDArray[np.float32]) -> None:
    small = cv2.resize(image, (tensor.shape[3], tensor.shape[2]))
    for number, plane in enumerate(cv2.split(small)):
        np.copyto(tensor[0, number], plane)


if __name__ == "__main__":
    main(*sys.argv[1:])
