"""The least program that looks at one picture with a model: the floor of a cold start.

    python -m bench.floor MODEL PICTURE [CONFIG CARD]

Imports, one session with the module's options, one picture read and resized, one run. With
CONFIG and CARD both are checked before that by the module's own classes, and with `-` in their
places pydantic is imported and nothing checked: what every program pays that has its settings
checked so, and that does nothing else.
"""

import gc
import sys
from pathlib import Path

if len(sys.argv) > 3:
    # As the module does it: a fifth of what the imports take.
    gc.disable()

import cv2
import numpy as np
import onnxruntime as ort

NOTHING = "-"


def main(model: str, picture: str, config: str = "", card: str = "") -> None:
    """Look once, and say so."""
    if config == NOTHING:
        import_pydantic()
    elif config:
        check(Path(config), Path(card))
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


def import_pydantic() -> None:
    """As far as a first class of settings needs it."""
    from pydantic import BaseModel

    class _Empty(BaseModel):
        """The first class that is made imports what the package alone does not."""


def check(config: Path, card: Path) -> None:
    """The settings and the card of a bundle, as the module does it."""
    from visionedge.inference.card import read_document, validated
    from visionedge.settings import from_file, resolve

    resolve([from_file(config)])
    validated(read_document(card), str(card))


if __name__ == "__main__":
    main(*sys.argv[1:])
