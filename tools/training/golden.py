"""Golden frames: pictures with what the model sees in them, to prove a copy of it elsewhere.

A bundle that was damaged, read with another preprocessing, or run by another runtime gives other
answers here, before it does on the line. The frames are of held-out lines: seven with one to
six defects, and one of good boards. What is expected is written as `visionedge predict --json`
prints it, by the product's own runtime, from the pictures as they lie in the folder.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from training.evaluate import Boxes
from training.lines import Sample, Split, frames_of
from training.runtime import Detector
from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.cameras.scene import LineSpec
from visionedge.entities import Image

EXPECTED_NAME: Final = "expected.json"
FLOOR: Final = 0.25
"""Of what is expected; the faintest doubts differ from one processor to the next."""
_JPEG_QUALITY: Final = 92
_FRAMES: Final = 8


def write_golden(bundle: Path) -> None:
    """Write `golden/` of the model that is in `bundle`, in place of what was there."""
    folder = bundle / "golden"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    detector = Detector(bundle)
    frames = []
    for number, sample in enumerate(_samples(), start=1):
        path = folder / f"board-{number}.jpg"
        cv2.imwrite(str(path), sample.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        frames.append(expected_of(path.name, detector.find(read(path))))
    text = json.dumps({"floor": FLOOR, "frames": frames}, indent=1)
    (folder / EXPECTED_NAME).write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Image:
    """A golden frame's picture."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path} is no picture: write the golden frames again")
    return np.asarray(image, dtype=np.uint8)


def expected_of(name: str, found: Boxes) -> dict[str, Any]:
    """One frame's entry."""
    rows = zip(found.class_id.tolist(), found.confidence.tolist(), found.xyxy.tolist(), strict=True)
    return {
        "image": name,
        "task": "detection",
        "detections": [
            {
                "class_id": class_id,
                "label": DEFECT_LABELS[class_id],
                "confidence": round(confidence, 4),
                "box_xyxy": [round(side, 2) for side in box],
            }
            for class_id, confidence, box in rows
            if confidence >= FLOOR
        ],
    }


def _samples() -> Iterator[Sample]:
    for number in range(_FRAMES):
        defect_rate = 2.5 if number < _FRAMES - 1 else 0.0
        seed = int(Split.GOLDEN) + number
        yield from frames_of(LineSpec(seed=seed, lot_size=1, defect_rate=defect_rate), 1)
