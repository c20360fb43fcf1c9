"""Average precision in numpy alone, so that it can be checked by hand.

Per class, detections of all frames are taken from the surest to the least sure; each claims the
unclaimed true box of its frame that it overlaps most. The average precision is the area under the
precision that never rises with recall: over all points (PASCAL VOC 2010 and later), or at the 101
of COCO (pycocotools), which agrees with theirs to the last digit and with the area to one in a
hundred.

Not promised: COCO's crowd and size rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.overlap import iou

_RECALLS: Final = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes of one frame, true or found.

    Attributes:
        xyxy: (n, 4) float32, pixels.
        class_id: (n,) int32.
        confidence: (n,) float32; ones for true boxes.
    """

    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]
    confidence: NDArray[np.float32]

    @classmethod
    def true(cls, xyxy: NDArray[np.float32], class_id: NDArray[np.int32]) -> "Boxes":
        """Boxes that are certain: ground truth."""
        return cls(xyxy, class_id, np.ones(len(class_id), dtype=np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """All detections of one class over all frames, surest first.

    Attributes:
        confidence: (n,) float32.
        is_true: (n,) bool, whether it claimed a true box.
        truth_count: true boxes of the class.
    """

    confidence: NDArray[np.float32]
    is_true: NDArray[np.bool_]
    truth_count: int


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well one class is found; precision and recall at the threshold that was asked for."""

    average_precision: float
    precision: float
    recall: float
    truth_count: int


def match_class(
    class_id: int, truths: Sequence[Boxes], found: Sequence[Boxes], iou_at_least: float = 0.5
) -> Matches:
    """Match detections of one class to the truth, frame by frame, the surest first."""
    confidences: list[NDArray[np.float32]] = []
    hits: list[NDArray[np.bool_]] = []
    truth_count = 0
    for truth, detections in zip(truths, found, strict=True):
        true_boxes = truth.xyxy[truth.class_id == class_id]
        mine = detections.class_id == class_id
        order = np.argsort(-detections.confidence[mine], kind="stable")
        truth_count += len(true_boxes)
        confidences.append(detections.confidence[mine][order])
        hits.append(_claim(detections.xyxy[mine][order], true_boxes, iou_at_least))
    confidence = np.concatenate(confidences) if confidences else np.zeros(0, np.float32)
    is_true = np.concatenate(hits) if hits else np.zeros(0, np.bool_)
    order = np.argsort(-confidence, kind="stable")
    return Matches(confidence[order], is_true[order], truth_count)


def _claim(
    found: NDArray[np.float32], true_boxes: NDArray[np.float32], iou_at_least: float
) -> NDArray[np.bool_]:
    hit = np.zeros(len(found), dtype=np.bool_)
    if not len(true_boxes):
        return hit
    shared = iou(found, true_boxes)
    for row in range(len(found)):
        best = int(shared[row].argmax())
        if shared[row, best] >= iou_at_least:
            hit[row] = True
            shared[:, best] = -1.0
    return hit


def coco_average_precision(matches: Matches) -> float:
    """The mean precision at the recalls 0, 0.01 to 1; not a number where nothing is there."""
    total = matches.truth_count
    if not total:
        return float("nan")
    hits = np.cumsum(matches.is_true)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    at = np.searchsorted(hits / total, _RECALLS, side="left")
    return float(envelope[at].mean())


def score_class(matches: Matches, threshold: float = 0.5) -> ClassScore:
    """Average precision over all confidences; precision and recall at one threshold."""
    hits = np.cumsum(matches.is_true)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    total = matches.truth_count
    average = float((envelope * matches.is_true).sum() / total) if total else float("nan")
    kept = int((matches.confidence >= threshold).sum())
    true_kept = int(hits[kept - 1]) if kept else 0
    return ClassScore(
        average,
        true_kept / kept if kept else float("nan"),
        true_kept / total if total else float("nan"),
        total,
    )


def pooled(matches: Sequence[Matches]) -> Matches:
    """The matches of several classes as if they were of one."""
    confidence = np.concatenate([m.confidence for m in matches])
    order = np.argsort(-confidence, kind="stable")
    is_true = np.concatenate([m.is_true for m in matches])[order]
    return Matches(confidence[order], is_true, sum(m.truth_count for m in matches))


def mean_average_precision(scores: Sequence[ClassScore]) -> float:
    """The mean over the classes that occur."""
    return float(np.mean([s.average_precision for s in scores if s.truth_count]))
