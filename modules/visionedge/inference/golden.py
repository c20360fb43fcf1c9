"""Proof that a model says here what it said at home: its golden frames, run again.

"Same model, other scores" is found on the device, before the first real frame, and not
weeks later in the rejects. The comparison is one to one: every expected box needs a box
of its class of its own, and no further box may stand clearly above the floor.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from visionedge.entities import Classification, Detections, Image, Prediction
from visionedge.errors import ModelCardError, ModelLoadError
from visionedge.inference.boxes import Limits
from visionedge.inference.card_golden import (
    ExpectedBox,
    ExpectedClass,
    ExpectedFrame,
    Golden,
    Tolerance,
    read_golden,
)
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel
from visionedge.overlap import iou

_MOST_BOXES: Final = 1000
Watched = Callable[[Sequence[ExpectedFrame]], Iterable[ExpectedFrame]]


def verify_golden(model: LoadedModel, watched: Watched = iter) -> list[str]:
    """Run the golden frames of a bundle.

    Args:
        model: of the bundle.
        watched: gets the frames and gives them back, as a progress bar does.

    Returns:
        What differs, a line each with the frame's name; empty if nothing does, or if the
        bundle has no golden frames.

    Raises:
        ModelCardError: the folder is not as it should be.
        ModelRunError: the model failed on a frame.
    """
    folder = model.bundle.golden
    if folder is None:
        return []
    golden = read_golden(folder)
    runner = model.runner(Limits(golden.floor, golden.nms_iou, _MOST_BOXES))
    faults: list[str] = []
    for frame in watched(golden.frames):
        prediction = runner.infer(_read(folder / frame.image))
        faults += (f"{frame.image}: {fault}" for fault in differences(golden, frame, prediction))
    return faults


def hold_to_golden(model: LoadedModel, name: str) -> None:
    """Refuse a model that does not say what its golden frames expect.

    Args:
        model: loaded, as it is to be used.
        name: what the error calls it.

    Raises:
        ModelLoadError: a frame differs.
        ModelError: as `verify_golden` says.
    """
    if faults := verify_golden(model):
        raise ModelLoadError(
            f"{name} fails {len(faults)} of its golden frames: {faults[0]}",
            hint="the file, the card or the runtime is not the one the bundle was made with",
        )


def differences(golden: Golden, expected: ExpectedFrame, found: Prediction) -> Iterator[str]:
    """What differs between an expectation and a prediction, a line each."""
    if isinstance(found, Detections):
        if expected.task != "detection":
            yield "boxes were found, and classes expected"
        else:
            yield from _boxes(golden, expected.detections, found)
    elif expected.task != "classification":
        yield "classes were found, and boxes expected"
    else:
        yield from _classes(expected.classes, found, golden.tolerance)


def _boxes(golden: Golden, expected: tuple[ExpectedBox, ...], found: Detections) -> Iterator[str]:
    tolerance = golden.tolerance
    free = np.ones(len(found), np.bool_)
    sure = golden.floor + tolerance.confidence
    for box in sorted(expected, key=lambda box: -box.confidence):
        overlap = iou(np.array([box.box_xyxy], np.float32), found.xyxy)[0]
        overlap = np.where(free & (found.class_id == box.class_id), overlap, 0)
        best = int(overlap.argmax()) if len(overlap) else -1
        if best >= 0 and overlap[best] >= tolerance.iou:
            free[best] = False
            yield from _confidence(box, float(found.confidence[best]), tolerance)
        elif box.confidence >= sure:
            closest = f", the closest overlaps by {overlap[best]:.2f}" if best >= 0 else ""
            yield f"{_named(box)} at {box.box_xyxy} is missing{closest}"
    for index in np.flatnonzero(free & (found.confidence >= sure)):
        yield f"{found.label(int(index))} {found.confidence[index]:.2f} was not expected"


def _classes(
    expected: tuple[ExpectedClass, ...], found: Classification, tolerance: Tolerance
) -> Iterator[str]:
    for wanted in expected:
        if wanted.class_id >= len(found):
            yield f"{_named(wanted)} is none of the {len(found)} classes"
        else:
            yield from _confidence(wanted, float(found.confidence[wanted.class_id]), tolerance)


def _confidence(expected: ExpectedClass, found: float, tolerance: Tolerance) -> Iterator[str]:
    if abs(found - expected.confidence) > tolerance.confidence:
        yield f"{_named(expected)} came with {found:.2f}"


def _named(expected: ExpectedClass) -> str:
    return f"{expected.label or expected.class_id} {expected.confidence:.2f}"


def _read(path: Path) -> Image:
    image = read_image(path)
    if image is None:
        raise ModelCardError(
            f"{path} is no picture that can be read", hint="copy the bundle again, whole"
        )
    return image
