"""A cascade: a detector finds, and a classifier says of each of its boxes what it is.

Each box is cut from the frame with a margin and shown to the classifier. Its best class
becomes the label of the box, and the confidence of the box becomes the product of both:
the chance that something is there, times the chance that it is of this class if it is. Each
factor is calibrated by the temperature of its own card. The product is never above the
detector's, and no box is dropped for it: that the detector was sure of a box and the
classifier of nothing is a doubt, which the rules of doubt are for.

A frame has at most so many looks (`most`), the detector's surest boxes first, so that a
frame full of false alarms costs no more than it may. Boxes beyond that, and those whose
class is not to be looked at, stay as the detector said; they are counted. So the labels of
a cascade are the classifier's, then those of the detector's that it does not have.

Crops go through the classifier together where its batch is free, else one after the other.
What this does not promise: that both ways agree to the last digit. A model that was
quantised dynamically takes its ranges from the whole batch.
"""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections, Image
from visionedge.errors import ModelRunError
from visionedge.inference.card import ModelCard
from visionedge.inference.runner import Runner
from visionedge.settings import ThenSettings


@dataclass(frozen=True, slots=True)
class Rules:
    """How the boxes of one model are shown to the next.

    Attributes:
        only: labels of the boxes that are shown; empty is all.
        margin: share of a box's sides that is added on each of them.
        most: boxes a frame.
        batch: boxes a run, where the classifier's batch is free.
    """

    only: frozenset[str] = frozenset()
    margin: float = 0.1
    most: int = 16
    batch: int = 8


def rules_of(settings: ThenSettings) -> Rules:
    """The rules that the settings of a model ask for."""
    return Rules(frozenset(settings.labels), settings.margin, settings.max_boxes, settings.batch)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why two models make no cascade: the field of `then` that is wrong, and what of it."""

    field: str
    reason: str


def misfit(first: ModelCard, second: ModelCard, rules: Rules) -> Misfit | None:
    """What speaks against a cascade of these two; None if nothing does."""
    if first.task != "detection":
        return Misfit("model", f"{first.name} is a classifier, and only a detector gives boxes")
    if second.task != "classification":
        return Misfit("model", f"{second.name} is a detector, and only a classifier can follow")
    for card in (first, second):
        if not card.labels:
            return Misfit("model", f"{card.name} has no labels: write them into its card")
    if unknown := sorted(rules.only - set(first.labels)):
        return Misfit("labels", f"{first.name} has no label {', '.join(unknown)}")
    return None


class Cascade:
    """Shows the boxes of one model to the next, in one thread.

    Args:
        runner: of the classifier, this thread's own.
        labels: of the detector.
        rules: how.
    """

    def __init__(self, runner: Runner, labels: tuple[str, ...], rules: Rules) -> None:
        self._runner = runner
        self._labels = labels
        self._rules = rules
        self._looked_at: Final = np.array([not rules.only or name in rules.only for name in labels])
        self.skipped = 0
        """Boxes of the latest frame beyond the most that are looked at."""
        self.spent_s = 0.0
        """On the latest frame."""

    def refine(self, image: Image, found: Detections) -> Detections:
        """The boxes, named by the classifier.

        Args:
            image: (H, W, 3) uint8 BGR, the frame.
            found: in pixels of the frame.

        Raises:
            ModelRunError: the classifier failed on one.
        """
        began = time.perf_counter()
        wanted = np.flatnonzero(self._looked_at[found.class_id])
        chosen = wanted[: self._rules.most]
        self.skipped = len(wanted) - len(chosen)
        crops = [_cut(image, found.xyxy[index], self._rules.margin) for index in chosen]
        said = self._runner.infer_each(crops, self._rules.batch)
        named = self._named(found, chosen, [_best(each) for each in said])
        self.spent_s = time.perf_counter() - began
        return named

    def warm(self, image: Image) -> None:
        """Look at a full run of crops, so that a frame with boxes is not the first to need it.

        Raises:
            ModelRunError: the classifier failed on it.
        """
        batch = self._rules.batch
        self._runner.infer_each([image] * batch, batch)

    def _named(
        self, found: Detections, chosen: NDArray[np.intp], best: list[tuple[str, float]]
    ) -> Detections:
        labels = self._all_labels()
        number = {label: index for index, label in enumerate(labels)}
        class_id = np.array([number[found.label(i)] for i in range(len(found))], np.int32)
        confidence = found.confidence.copy()
        for index, (label, sure) in zip(chosen, best, strict=True):
            class_id[index] = number[label]
            confidence[index] *= sure
        order = np.argsort(-confidence, kind="stable")
        return Detections(found.xyxy[order], confidence[order], class_id[order], labels)

    def _all_labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._runner.labels, *self._labels)))


def _best(said: object) -> tuple[str, float]:
    if not isinstance(said, Classification):
        raise ModelRunError("the second model of a cascade gave no classes", hint="see `then`")
    ((class_id, confidence),) = said.top(1)
    return said.label(class_id), confidence


def _cut(image: Image, xyxy: NDArray[np.float32], margin: float) -> Image:
    """The part of the frame under a box and its margin, at least a pixel."""
    height, width = image.shape[:2]
    grown = margin * (xyxy[2:] - xyxy[:2])
    x1, y1 = (int(edge) for edge in np.floor(np.maximum(xyxy[:2] - grown, 0)))
    x2, y2 = (int(edge) for edge in np.ceil(np.minimum(xyxy[2:] + grown, (width, height))))
    x1, y1 = min(x1, width - 1), min(y1, height - 1)
    return image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
