"""The least program that looks at a camera with a model: the floor of the module's memory.

    python -m bench.least_memory MODEL CLIP RUNS

OpenCV's capture, ONNX Runtime with the module's options, one frame, and no reading of the answer.
RUNS of the model at once, each on a tensor of its own: with 2 as the module has it while a second
look meets the next frame. It says a word when it has looked at all, and waits to be ended, so that
whoever started it can read its peak.

What this does not promise: that its runs meet where they need most.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

WORD: Final = "looked"
_FRAMES: Final = 60


def main(model: str, clip: str, runs: str) -> None:
    """Look at a few seconds of video."""
    cv2.setNumThreads(1)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    # A batch of one, also where the model leaves that open.
    tensors = [np.zeros((1, *first.shape[1:]), np.float32) for _ in range(int(runs))]
    capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    image = None
    with ThreadPoolExecutor(len(tensors)) as pool:
        for _ in range(_FRAMES):
            seen, image = capture.read(image)
            if not seen:
                sys.exit(f"{clip} cannot be read")
            for tensor in tensors:
                _write(image, tensor)
            # A list, so that all are waited for, and what fails is heard of.
            list(pool.map(lambda tensor: session.run(None, {first.name: tensor}), tensors))
    print(WORD, flush=True)
    sys.stdin.read()


def _write(image: np.ndarray, tensor: NDArray[np.float32]) -> None:
    small = cv2.resize(image, (tensor.shape[3], tensor.shape[2]))
    for number, plane in enumerate(cv2.split(small)):
        np.copyto(tensor[0, number], plane)


if __name__ == "__main__":
    main(*sys.argv[1:])
