"""Whether two ways see the same: a comparison of speed means nothing where results differ."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.naive import Found
from bench.report import Unavailable
from bench.subjects import Subject
from visionedge.entities import Classification, Image, Prediction

_NEAR_PX: Final = 1e-3
REWRITTEN_PX: Final = 5e-3
"""Of a 1080p frame, where one of two runs the network in fewer steps. The runtime's own rewriting
moves boxes by as much: 0.0007 px at 320 and 0.0019 at 640 (YOLOX-nano, with it and without)."""
_NEAR_SCORE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two ways differ over all frames.

    Attributes:
        found: boxes a frame (or classes) that the first of the others gave.
        farthest: largest difference, pixels for boxes and probability for classes.
        unit: of it.
    """

    found: float
    farthest: float
    unit: str

    def __str__(self) -> str:
        return (
            f"{self.found:.1f} a frame, the same in all ways within {self.farthest:.1g} {self.unit}"
        )


def agreement(
    subject: Subject,
    ours: Callable[[Image], Prediction],
    *others: Callable[[Image], Found],
    within_px: float = _NEAR_PX,
) -> Agreement:
    """Hold other ways against ours, on every frame of the subject.

    Args:
        subject: whose frames are looked at.
        ours: one way.
        others: to hold against it.
        within_px: how far boxes may be apart.

    Raises:
        Unavailable: they differ, so there is nothing to measure.
    """
    found, farthest = 0, 0.0
    for image in subject.frames:
        prediction = ours(image)
        each = [other(image) for other in others]
        for theirs in each:
            distance = _distance(prediction, theirs, within_px)
            if distance is None:
                raise Unavailable(
                    "ours and another way see different things",
                    hint="one of them is wrong: compare them on a single frame",
                )
            farthest = max(farthest, distance)
        found += len(each[0])
    unit = "of probability" if subject.model.card.task == "classification" else "px"
    return Agreement(found / len(subject.frames), farthest, unit)


def _distance(ours: Prediction, theirs: Found, within_px: float) -> float | None:
    """Largest difference of boxes or probabilities; None where they are not the same."""
    if isinstance(ours, Classification):
        apart = [abs(ours.confidence[class_id] - score) for class_id, score, _ in theirs]
        return float(max(apart)) if max(apart) <= _NEAR_SCORE else None
    if len(ours) != len(theirs):
        return None
    if not theirs:
        return 0.0
    mine = _sorted(ours.class_id, ours.confidence, ours.xyxy)
    other = _sorted(*(np.array(column) for column in zip(*theirs, strict=True)))
    if (mine[:, 0] != other[:, 0]).any():
        return None
    farthest = np.abs(mine - other).max(axis=0)
    near = farthest[1] <= _NEAR_SCORE and farthest[2:].max() <= within_px
    return float(farthest[2:].max()) if near else None


def _sorted(class_id: NDArray[Any], score: NDArray[Any], xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Rows of class, score and box, in an order that equal scores do not change."""
    rows = np.column_stack([class_id, score, xyxy]).astype(np.float64)
    return rows[np.lexsort((rows[:, 2], -rows[:, 1], rows[:, 0]))]
