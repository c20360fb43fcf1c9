"""A prediction in plain numbers, read once a frame for everyone who judges it.

A frame has a handful of boxes. Right after a run of the model each array function takes ten
times as long as in a loop of its own, so ten rules take less than half the time over lists of a
few numbers, read once, that they take over arrays.
"""

from dataclasses import dataclass, field

from visionedge.entities import Detections, Prediction
from visionedge.escalation.judging import competes
from visionedge.escalation.thresholds import Thresholds


@dataclass(slots=True, eq=False)
class Reading:
    """One prediction, and what is known of its frame.

    Attributes:
        prediction: what was read.
        competes: exactly one class is right, so that only the best is anybody's word.
        confidence: of each box, or of each class; of the best one alone where they compete.
        accept: from which confidence on each of these is taken.
        class_id: of each box; empty for a classification.
        xyxy: of each box, pixels; empty for a classification.
        flicker: of each box that is followed, the first ones, how unstable its track is, 0..1;
            empty where nothing is.
        novelty: how unlike the picture is to those before it, 0..1; None where that is not
            measured.
    """

    prediction: Prediction
    competes: bool
    confidence: list[float]
    accept: list[float]
    class_id: list[int]
    xyxy: list[list[float]]
    flicker: list[float] = field(default_factory=list)
    novelty: float | None = None


def read(prediction: Prediction, thresholds: Thresholds) -> Reading:
    """The prediction, with the thresholds of its boxes or classes."""
    if isinstance(prediction, Detections):
        class_id: list[int] = prediction.class_id.tolist()
        return Reading(
            prediction,
            competes=False,
            confidence=prediction.confidence.tolist(),
            accept=thresholds.of(prediction.labels, class_id),
            class_id=class_id,
            xyxy=prediction.xyxy.tolist(),
        )
    whole, confidence = competes(prediction), prediction.confidence
    which = range(len(confidence))
    if whole and which:
        # What is not a number counts as the best.
        best = int(confidence.argmax())
        which = range(best, best + 1)
    return Reading(
        prediction,
        competes=whole,
        confidence=confidence[which.start : which.stop].tolist(),
        accept=thresholds.of(prediction.labels, which),
        class_id=[],
        xyxy=[],
    )
