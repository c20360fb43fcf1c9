"""Golden frames: pictures with what the model sees in them, to prove a copy of it elsewhere.

A bundle that was damaged, read with another preprocessing, or run by another runtime gives other
answers here, before it does on the line. The frames are of held-out lines, seven with one to six
defects and one of good boards, and of two held-out etched boards. What is expected is what the
product's own runtime says to the pictures as they lie in the folder, and it is verified as every
device verifies it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2

from training.etched import etched_board
from training.lines import Sample, Split, frames_of
from visionedge.cameras.scene import LineSpec
from visionedge.inference.boxes import Limits
from visionedge.inference.card_golden import EXPECTED_NAME, Golden
from visionedge.inference.golden import verify_golden
from visionedge.inference.image import read_image
from visionedge.inference.model import load_model
from visionedge.inference.prediction_json import as_document
from visionedge.settings import ModelSettings

_FLOOR: Final = 0.25
_NMS_IOU: Final = 0.45
_JPEG_QUALITY: Final = 92
_LINES: Final = 8
_ETCHED: Final = 2


def write_golden(bundle: Path) -> None:
    """Write `golden/` of the model that is in `bundle`, in place of what was there.

    Raises:
        SystemExit: the frames do not prove what was just written; the fault is in this code.
    """
    folder = bundle / "golden"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    settings = ModelSettings(path=str(bundle))
    runner = load_model(bundle, settings).runner(Limits(_FLOOR, _NMS_IOU, 300))
    frames = []
    for path in _write_pictures(folder):
        image = read_image(path)
        if image is None:
            raise SystemExit(f"{path} was not written as a picture")
        frames.append(as_document(path.name, runner.infer(image)))
    golden = Golden.model_validate({"floor": _FLOOR, "nms_iou": _NMS_IOU, "frames": frames})
    document = golden.model_dump(mode="json", exclude={"frames": {"__all__": {"classes"}}})
    text = json.dumps(document, indent=1) + "\n"
    (folder / EXPECTED_NAME).write_text(text, encoding="utf-8")
    if faults := verify_golden(load_model(bundle, settings)):
        raise SystemExit("the golden frames disagree with themselves:\n" + "\n".join(faults))


def _write_pictures(folder: Path) -> Iterator[Path]:
    for number, sample in enumerate(_samples(), start=1):
        path = folder / f"board-{number}.jpg"
        cv2.imwrite(str(path), sample.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        yield path


def _samples() -> Iterator[Sample]:
    first = int(Split.GOLDEN)
    for number in range(_LINES):
        defect_rate = 2.5 if number < _LINES - 1 else 0.0
        yield from frames_of(LineSpec(seed=first + number, lot_size=1, defect_rate=defect_rate), 1)
    for number in range(_ETCHED):
        yield etched_board(first + number)
