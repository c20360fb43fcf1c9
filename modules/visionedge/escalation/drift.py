"""Drift: what a camera sees, and how sure the model is of it, against how it used to be.

The population stability index (PSI: sum of (p - q) ln(p / q), known from credit scoring;
Siddiqi, "Credit Risk Scorecards", 2006) of two things over a window: which classes are taken
from the frames, the empty scene among them; and how the calibrated confidences lie, in ten
bins. Above 0.25 is a change of population by the usual reading, below 0.1 is none.

The baseline is that of the model's card where it has one (`visionedge calibrate --baseline`
writes it); else what this camera shows first is learned as such, which says "other than
before" and not "wrong". It is kept over restarts and learned anew with another model.

Of few counts the index is large by chance alone: of one population it is distributed as
chi-squared times (1/n + 1/m) (Yurdakul, "Statistical Properties of Population Stability
Index", 2018). What is told is how far it is above that, by three deviations.

One frame a second counts: those in between show the same things, and would make chance look
like change. A breach must be there in two windows in a row, and is over when both figures are
below half of the limit, so that one odd lot is no event.

What this does not promise: to say what has changed, or that anything is wrong. A drift raises
the control sample, and the verdicts on that tell.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections, Prediction
from visionedge.escalation.judging import doubted, is_independent
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DriftSettings

BINS: Final = 10
EMPTY: Final = "(empty)"
OTHER: Final = "(other)"
Source = Literal["card", "learned", "learning", "off"]
_EVERY_NS: Final = 1_000_000_000
_RARE: Final = 0.02
"""Of the frames: rarer classes count together, since one more of them means nothing."""
_MOST_CLASSES: Final = 100
_HALF: Final = 0.5
"""Added to each count, so that what was never seen has a chance all the same."""
_DEVIATIONS: Final = 3.0
_WINDOWS: Final = 2
_CALM: Final = 0.5


@dataclass(frozen=True, slots=True)
class Baseline:
    """How it should be.

    Attributes:
        frames: that it was taken from.
        classes: in how many of them each class was taken, and how many were empty.
        confidence: how many confidences fell into each tenth, `BINS` of them.
    """

    frames: int
    classes: Mapping[str, int]
    confidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DriftState:
    """What is known of one camera.

    Attributes:
        source: of the baseline.
        classes: PSI of the class mix in the last full window; None before there is one.
        confidence: PSI of the confidences in it.
        breached: it has drifted.
    """

    source: Source = "off"
    classes: float | None = None
    confidence: float | None = None
    breached: bool = False


@dataclass(slots=True)
class BaselineCount:
    """Counts frames into a baseline."""

    frames: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    confidence: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, prediction: Prediction, thresholds: Thresholds) -> None:
        """Count one frame."""
        taken = ~doubted(prediction, thresholds.accept(prediction))
        self.frames += 1
        labels, confidence = seen(prediction, taken)
        for label in labels:
            known = label in self.classes or len(self.classes) < _MOST_CLASSES
            self.classes[label if known else OTHER] += 1
        self.confidence += histogram(confidence)

    def baseline(self) -> Baseline:
        """What was counted."""
        return Baseline(self.frames, dict(self.classes), tuple(self.confidence.tolist()))


class DriftWatch:
    """Watches one camera. Not safe for threads: its owner locks."""

    def __init__(self) -> None:
        self._key = ""
        self._settings = DriftSettings()
        self._baseline: Baseline | None = None
        self._window = BaselineCount()
        self._next_ns: int | None = None
        self._above = 0
        self.state = DriftState()
        self.learned: Baseline | None = None
        """The baseline that was learned here."""

    def use(
        self, key: str, settings: DriftSettings, card: Baseline | None, kept: Baseline | None
    ) -> None:
        """Go by these settings; begin anew where the model is another one.

        Args:
            key: of the model.
            settings: how long, and how much is too much.
            card: the baseline of the model's card.
            kept: what an earlier process learned with this model.
        """
        self._settings = settings
        if not settings.enabled:
            self.state, self._key = DriftState(), ""
            return
        if key == self._key:
            return
        self._key, self._window, self._above = key, BaselineCount(), 0
        self._baseline, self.learned = card or kept, None if card else kept
        source: Source = "card" if card else "learned" if kept else "learning"
        self.state = DriftState(source)

    def look(self, prediction: Prediction, thresholds: Thresholds, captured_ns: int) -> None:
        """Count a frame, if one of this second was not counted yet.

        Args:
            prediction: calibrated.
            thresholds: from which confidence on a class is taken.
            captured_ns: of the frame.
        """
        if not self._key or (self._next_ns is not None and captured_ns < self._next_ns):
            return
        self._next_ns = captured_ns + _EVERY_NS
        self._window.add(prediction, thresholds)
        if self._baseline is None:
            if self._window.frames >= self._settings.learn_frames:
                self._baseline = self.learned = self._window.baseline()
                self._window, self.state = BaselineCount(), DriftState("learned")
        elif self._window.frames >= self._settings.window_frames:
            self._judge(self._baseline, self._window.baseline())
            self._window = BaselineCount()

    def _judge(self, baseline: Baseline, window: Baseline) -> None:
        classes = psi(*_aligned(baseline.classes, window.classes))
        confidence = psi(np.array(baseline.confidence), np.array(window.confidence))
        worst, limit = max(classes, confidence), self._settings.psi
        self._above = self._above + 1 if worst > limit else 0
        was = self.state.breached
        breached = worst >= _CALM * limit if was else self._above >= _WINDOWS
        self.state = DriftState(self.state.source, classes, confidence, breached)


def seen(prediction: Prediction, taken: NDArray[np.bool_]) -> tuple[set[str], NDArray[np.float32]]:
    """The classes that are taken from a frame, or that it is empty, and the confidences in it."""
    if isinstance(prediction, Detections):
        labels = {prediction.label(i) for i in np.flatnonzero(taken).tolist()}
        return labels or {EMPTY}, prediction.confidence
    if not len(prediction):
        return {EMPTY}, prediction.confidence
    if is_independent(prediction):
        labels = {prediction.label(i) for i in np.flatnonzero(taken).tolist()}
        return labels or {EMPTY}, prediction.confidence
    best = int(prediction.confidence.argmax())
    return {prediction.label(best)}, prediction.confidence[best : best + 1]


def histogram(confidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """(BINS,) how many lie in each tenth; what is not a number counts as 0."""
    tenth = np.clip(np.nan_to_num(confidence) * BINS, 0, BINS - 1).astype(np.int64)
    return np.bincount(tenth, minlength=BINS)


def psi(baseline: NDArray[np.integer], window: NDArray[np.integer]) -> float:
    """Population stability index of two histograms over the same bins, beyond chance.

    Returns:
        What is above the index that two samples of one population stay below; 0 where
        nothing is, or one of them is empty.
    """
    n, m = int(baseline.sum()), int(window.sum())
    if not n or not m:
        return 0.0
    p = (baseline + _HALF) / (n + _HALF * len(baseline))
    q = (window + _HALF) / (m + _HALF * len(window))
    free = max(1, len(baseline) - 1)
    chance = (1 / n + 1 / m) * (free + _DEVIATIONS * (2 * free) ** 0.5)
    index = float(np.sum((q - p) * np.log(q / p)))
    return max(0.0, index - float(chance))


def _aligned(
    baseline: Mapping[str, int], window: Mapping[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both counts over the same classes, rare ones together."""
    total = max(1, sum(baseline.values()))
    names = [name for name, count in baseline.items() if count >= _RARE * total and name != OTHER]
    counts = []
    for each in (baseline, window):
        named = [each.get(name, 0) for name in names]
        counts.append(np.array([*named, sum(each.values()) - sum(named)], np.int64))
    return counts[0], counts[1]
