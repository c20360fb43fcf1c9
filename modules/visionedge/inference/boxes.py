"""Boxes: coordinates, class-aware suppression, and the last steps that all detectors share.

Suppression is the greedy one of everybody: the best box stays and takes away those of its
own class that overlap it by more than the limit. It runs in blocks of rows over matrices
of overlaps, and stops once enough boxes are kept, so that a frame in which every
candidate is above the floor costs a few times a normal one and not a thousand times.
Within a block, greedy suppression is the fixed point of `kept = not overlapped by a kept,
better one`, found by repeating it until nothing changes.

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

Floats = NDArray[np.float32]
_BLOCK: Final = 256
_FAR_PX: Final = 1e6
"""Boxes are cut here before areas are taken, so that no area overflows float32."""
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
    half = xywh[:, 2:] / 2
    return np.concatenate([xywh[:, :2] - half, xywh[:, :2] + half], axis=1)


def iou(a: Floats, b: Floats) -> Floats:
    """Overlap of each of `a` (n, 4) with each of `b` (m, 4), xyxy: (n, m), 0..1."""
    low = np.maximum(a[:, None, :2], b[:, :2])
    side = np.minimum(a[:, None, 2:], b[:, 2:])
    side -= low
    np.maximum(side, 0, out=side)
    inner = side[..., 0] * side[..., 1]
    union = _area(a)[:, None] + _area(b) - inner
    overlap: Floats = np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)
    return overlap


def nms(
    xyxy: Floats, confidence: Floats, class_id: NDArray[np.int32], limit: float, keep: int
) -> NDArray[np.intp]:
    """Indices of the boxes that stay, best first, at most `keep`.

    Boxes of equal confidence keep their order.
    """
    order = np.argsort(-confidence, kind="stable")
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        if len(kept):
            block = block[~_overlaps(xyxy, class_id, kept, block, limit).any(axis=0)]
        rivals = np.triu(_overlaps(xyxy, class_id, block, block, limit), 1)
        kept = np.concatenate([kept, block[_undefeated(rivals)]])
        if len(kept) >= keep:
            break
    return kept[:keep]


def _undefeated(rivals: NDArray[np.bool_]) -> NDArray[np.bool_]:
    stays = np.ones(len(rivals), np.bool_)
    while True:
        again = np.logical_not(rivals[stays].any(axis=0))
        if np.array_equal(again, stays):
            return stays
        stays = again


def _overlaps(
    xyxy: Floats,
    class_id: NDArray[np.int32],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    limit: float,
) -> NDArray[np.bool_]:
    over = iou(xyxy[first], xyxy[second]) > limit
    over &= class_id[first][:, None] == class_id[second]
    return over


def _area(xyxy: Floats) -> Floats:
    area: Floats = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return area


def candidates(score: Floats, limits: Limits, temperature: float) -> NDArray[np.intp]:
    """Indices whose score reaches the floor once it is calibrated.

    Args:
        score: (n,) of each candidate, or an upper bound of it; 0..1.

    Raises:
        ModelRunError: a score is not finite, or is no probability.
    """
    if len(score) and not (score.min() >= -_SLACK and score.max() <= 1 + _SLACK):
        low, high = float(score.min()), float(score.max())
        raise ModelRunError(
            f"scores lie between {low:g} and {high:g}, not between 0 and 1",
            hint="the model is broken or read by the wrong head: see `head` in its card",
        )
    return np.flatnonzero(score >= undo_binary(limits.floor, temperature))


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
        ModelRunError: a coordinate is not finite.
    """
    if not np.isfinite(xyxy).all():
        raise ModelRunError(
            "a box has coordinates that are not finite", hint="the model is broken: export it anew"
        )
    xyxy = np.clip(xyxy, -_FAR_PX, _FAR_PX)
    if suppress:
        kept = nms(xyxy, confidence, class_id, limits.nms_iou, limits.max_detections)
    else:
        kept = np.argsort(-confidence, kind="stable")[: limits.max_detections]
    frame = geometry.to_frame(xyxy[kept])
    inside = (frame[:, 2] > frame[:, 0]) & (frame[:, 3] > frame[:, 1])
    kept, frame = kept[inside], frame[inside]
    return Detections(
        xyxy=frame,
        confidence=soften_binary(np.clip(confidence[kept], 0, 1), temperature),
        class_id=class_id[kept],
        labels=labels,
    )
