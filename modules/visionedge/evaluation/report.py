"""What a model is worth on a data set: the figures that people compare and decide by.

mAP50 and mAP50-95 are COCO's, over all confidences. Precision, recall and the confusion
matrix are at the one confidence from which a line takes a box, because that is where it
runs. The reliability tells whether a confidence means what it says, which is what the rules
of doubt build on: of the boxes said to be 0.7 sure, seven in ten should be right.

Sources: pycocotools cocoeval (mAP, 100 boxes a picture); Guo et al., arXiv:1706.04599
(reliability, expected calibration error).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections
from visionedge.evaluation.average_precision import (
    Boxes,
    coco_average_precision,
    match_class,
    score_class,
)
from visionedge.overlap import iou

MOST_BOXES: Final = 100
"""A picture, best first; COCO's limit."""
_IOUS: Final = np.linspace(0.5, 0.95, 10)
_BINS: Final = 10
_MATCH_IOU: Final = 0.5


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class; None where it does not occur or was never found."""

    label: str
    truth: int
    precision: float | None
    recall: float | None
    ap50: float | None = None
    ap50_95: float | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of about one confidence: how sure they were, and how often right."""

    confidence: float
    right: float
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All figures of one model on one data set.

    Attributes:
        threshold: from which boxes count; None of a classifier, whose best class counts.
        confusion: rows are what is there, columns what was said; of boxes, the last row is
            nothing there and the last column nothing said.
        accuracy: of a classifier, else None.
        reliability: bins of confidence from 0 to 1; empty ones are left out.
        calibration_error: mean distance of confidence and being right, by count.
    """

    pictures: int
    threshold: float | None
    classes: tuple[ClassFigures, ...]
    confusion: NDArray[np.int64]
    reliability: tuple[Bin, ...]
    calibration_error: float | None
    map50: float | None = None
    map50_95: float | None = None
    precision: float | None = None
    recall: float | None = None
    accuracy: float | None = None

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "pictures": self.pictures,
            "threshold": self.threshold,
            "map50": self.map50,
            "map50_95": self.map50_95,
            "precision": self.precision,
            "recall": self.recall,
            "accuracy": self.accuracy,
            "calibration_error": self.calibration_error,
            "classes": [
                {name: getattr(each, name) for name in ClassFigures.__slots__}
                for each in self.classes
            ],
            "confusion": self.confusion.tolist(),
            "reliability": [
                {"confidence": b.confidence, "right": b.right, "count": b.count}
                for b in self.reliability
            ],
        }


def judge_boxes(
    truths: Sequence[Boxes],
    predictions: Sequence[Detections],
    labels: Sequence[str],
    threshold: float,
) -> Report:
    """Figures of a detector.

    Args:
        truths: what is there, a picture each, in the class numbers of the model.
        predictions: what was found, with a low floor.
        labels: of the model; where it has none, of what the truth shows, and boxes of classes
            beyond count for nothing.
        threshold: confidence from which a box counts for precision, recall and confusion.
    """
    found = [
        Boxes(p.xyxy[:MOST_BOXES], p.class_id[:MOST_BOXES], p.confidence[:MOST_BOXES])
        for p in predictions
    ]
    figures, judged = [], []
    for number, label in enumerate(labels):
        matches = [match_class(number, truths, found, iou) for iou in _IOUS]
        score = score_class(matches[0], threshold)
        precisions = [coco_average_precision(each) for each in matches]
        figures.append(
            ClassFigures(
                label,
                score.truth_count,
                _known(score.precision),
                _known(score.recall),
                _known(precisions[0]),
                _known(float(np.mean(precisions))),
            )
        )
        judged.append(matches[0])
    confidence = np.concatenate([each.confidence for each in judged])
    right = np.concatenate([each.is_true for each in judged])
    bins, error = _reliability(confidence, right)
    confusion = _confusion(truths, found, len(labels), threshold)
    said, true = confusion[:, :-1].sum(), confusion[:-1].sum()
    hits = np.trace(confusion[:-1, :-1])
    return Report(
        len(truths),
        threshold,
        tuple(figures),
        confusion,
        bins,
        error,
        map50=_mean([each.ap50 for each in figures]),
        map50_95=_mean([each.ap50_95 for each in figures]),
        precision=float(hits / said) if said else None,
        recall=float(hits / true) if true else None,
    )


def judge_classes(
    truths: Sequence[int], predictions: Sequence[Classification], labels: Sequence[str]
) -> Report:
    """Figures of a classifier: its best class against the true one."""
    count = max(len(labels), *(len(each) for each in predictions))
    names = [*labels, *(str(number) for number in range(len(labels), count))]
    confusion = np.zeros((count, count), np.int64)
    confidence, right = [], []
    for truth, prediction in zip(truths, predictions, strict=True):
        best, surety = prediction.top(1)[0]
        confusion[truth, best] += 1
        confidence.append(surety)
        right.append(best == truth)
    hits = np.diag(confusion)
    figures = tuple(
        ClassFigures(
            name,
            int(confusion[number].sum()),
            _share(hits[number], int(confusion[:, number].sum())),
            _share(hits[number], int(confusion[number].sum())),
        )
        for number, name in enumerate(names)
    )
    bins, error = _reliability(np.array(confidence, np.float32), np.array(right, np.bool_))
    share = float(np.mean(right))
    return Report(len(truths), None, figures, confusion, bins, error, accuracy=share)


def _confusion(
    truths: Sequence[Boxes], found: Sequence[Boxes], classes: int, threshold: float
) -> NDArray[np.int64]:
    """Boxes matched whatever their class, the best overlap first."""
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    for truth, detections in zip(truths, found, strict=True):
        kept = (detections.confidence >= threshold) & (detections.class_id < classes)
        said = detections.class_id[kept]
        shared = iou(truth.xyxy, detections.xyxy[kept])
        is_free_truth = np.ones(len(truth.class_id), np.bool_)
        is_free_said = np.ones(len(said), np.bool_)
        for flat in np.argsort(-shared, axis=None, kind="stable"):
            row, column = divmod(int(flat), max(1, len(said)))
            if shared[row, column] < _MATCH_IOU:
                break
            if is_free_truth[row] and is_free_said[column]:
                is_free_truth[row] = is_free_said[column] = False
                matrix[truth.class_id[row], said[column]] += 1
        matrix[:-1, -1] += np.bincount(truth.class_id[is_free_truth], minlength=classes)
        matrix[-1, :-1] += np.bincount(said[is_free_said], minlength=classes)
    return matrix


def _reliability(
    confidence: NDArray[np.float32], right: NDArray[np.bool_]
) -> tuple[tuple[Bin, ...], float | None]:
    if not len(confidence):
        return (), None
    number = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    bins = tuple(
        Bin(float(confidence[mine].mean()), float(right[mine].mean()), int(mine.sum()))
        for mine in (number == n for n in range(_BINS))
        if mine.any()
    )
    distance = sum(each.count * abs(each.confidence - each.right) for each in bins)
    return bins, distance / len(confidence)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
