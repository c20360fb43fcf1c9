"""The least program that looks at one picture with a model: the floor of a cold start.

    python -m bench.floor MODEL PICTURE

Imports, one session with the module's options, one picture read and resized, one run.
"""

import sys

import cv2
import numpy as np
import onnxruntime as ort


def main(model: str, picture: str) -> None:
    """Look once, and say so."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    height, width = first.shape[2:]
    image = cv2.imread(picture)
    if image is None:
        sys.exit(f"{picture} cannot be read")
    planes = cv2.resize(image, (width, height)).transpose(2, 0, 1)
    session.run(None, {first.name: planes[None].astype(np.float32) / 255})
    print("looked", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
