"""Boxes: coordinates, overlap, and the last steps that all detectors share.

What is not finite is an error and never a box: a NaN compares as false everywhere and
would silently read as "nothing seen".
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.errors import ModelRunError
from visionedge.inference.calibration import soften_binary, undo_binary
from visionedge.inference.geometry import Geometry
from visionedge.inference.nms import FAR_PX, nms

Floats = NDArray[np.float32]
_SLACK: Final = 1e-3
"""How far above 1 a score may lie by rounding (float16, quantised graphs)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Which boxes are kept; the fields of `ModelSettings` of the same names."""

    floor: float
    nms_iou: float
    max_detections: int


def xywh_to_xyxy(xywh: Floats) -> Floats:
    """(n, 4) centre x, centre y, width, height to (n, 4) x1 y1 x2 y2."""
    half = xywh[:, 2:] * np.float32(0.5)
    xyxy = np.empty_like(xywh)
    # What overflows or is no number stays so, and `to_detections` refuses it.
    with np.errstate(over="ignore", invalid="ignore"):
        np.subtract(xywh[:, :2], half, out=xyxy[:, :2])
        np.add(xywh[:, :2], half, out=xyxy[:, 2:])
    return xyxy


def candidates(score: Floats, limits: Limits, temperature: float) -> NDArray[np.intp]:
    """Indices whose score reaches the floor once it is calibrated.

    Args:
        score: (n,) of each candidate, or an upper bound of it; 0..1.

    Raises:
        ModelRunError: a score is not finite, or is no probability.
    """
    # Negated, so that a NaN, which is below nothing, is a candidate and found out.
    below = score < undo_binary(limits.floor, temperature)
    chosen = np.logical_not(below, out=below).nonzero()[0]
    if len(chosen) and not (highest := score[chosen].max()) <= 1 + _SLACK:
        raise ModelRunError(
            f"scores reach {highest:g}, and probabilities end at 1",
            hint="the model is broken or read by the wrong head: see `head` in its card",
        )
    return chosen


def to_detections(
    xyxy: Floats,
    confidence: Floats,
    class_id: NDArray[np.int32],
    *,
    geometry: Geometry,
    labels: tuple[str, ...],
    limits: Limits,
    temperature: float,
    suppress: bool = True,
) -> Detections:
    """The boxes of a frame out of candidates in the pixels of the input.

    Args:
        xyxy: (n, 4) float32, pixels of the input; may reach beyond it.
        confidence: (n,) float32, 0..1, before calibration.
        class_id: (n,) int32.
        suppress: False for models that suppress within the graph.

    Raises:
        ModelRunError: a coordinate is not finite, or beyond all reason.
    """
    if not len(xyxy):
        # Most frames of a line, and every call saved counts: see docs/explanation/performance.md.
        return Detections(xyxy, confidence, class_id, labels)
    # A NaN is not less than anything either.
    if not np.abs(xyxy).max() < FAR_PX:
        raise ModelRunError(
            "a box reaches far out of the picture, or is not finite",
            hint="the model is broken or read by the wrong head: see `head` in its card",
        )
    if suppress:
        kept = nms(xyxy, confidence, class_id, limits.nms_iou, limits.max_detections)
    else:
        kept = np.argsort(-confidence, kind="stable")[: limits.max_detections]
    frame = geometry.to_frame(xyxy.take(kept, axis=0))
    inside = frame[:, 2:] > frame[:, :2]
    if not inside.all():
        within = inside.all(axis=1)
        kept, frame = kept[within], frame[within]
    return Detections(
        xyxy=frame,
        confidence=soften_binary(np.minimum(confidence.take(kept), 1), temperature),
        class_id=class_id.take(kept),
        labels=labels,
    )
