"""Two bundles on the same live frames: is the new one as quick, as steady, and of one mind?

Golden frames show that a bundle is what its maker made. Whether it is any good on this line,
with this light and this processor, only the line can show. So the new one first looks at
live frames in the shadow of the active one, then answers for it while the old one looks
over its shoulder on some frames; in both phases errors, latency and agreement are weighed.

Compared is what matters to a decision: the sure objects of either, which the other should
have found as well, sure or not; of a classifier the first class. Labels are compared by
name, because a new bundle may number them anew.

What this does not promise: that the new one is better. Only that it is not broken.
"""

import statistics
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from visionedge.entities import Classification, Detections, Prediction
from visionedge.errors import ModelRunError
from visionedge.inference.boxes import iou
from visionedge.inference.model import LoadedModel
from visionedge.inference.runner import Runner, Timings
from visionedge.settings import DeliverySettings

_SURE: Final = 0.5
_SAME_IOU: Final = 0.5
_LOOK_EVERY: Final = 5
"""In the guard window the old bundle looks at every fifth frame: enough to see a change."""
_KEPT_TIMES: Final = 500
_FEWEST_TIMES: Final = 20
"""Fewer say nothing about a median."""
RunnerOf = Callable[[LoadedModel], Runner]
"""The calling thread's own runner of a model."""
Look = Callable[[LoadedModel], Prediction]
"""What a model sees in the frame at hand; raises ModelRunError."""


@dataclass(slots=True)
class _Tally:
    frames: int = 0
    errors: int = 0
    compared: int = 0
    agreed: float = 0.0


class Rivals:
    """A trial of one bundle against another. Safe for many threads.

    Args:
        candidate: the new bundle.
        former: the active one.
        rules: how many frames, and what is too much.
    """

    def __init__(
        self, candidate: LoadedModel, former: LoadedModel, rules: DeliverySettings
    ) -> None:
        self.candidate: Final = candidate
        self.former: Final = former
        self._rules = rules
        self._lock = threading.Lock()
        self._tally = _Tally()
        self._errors = 0
        self._times: dict[LoadedModel, deque[float]] = {
            candidate: deque(maxlen=_KEPT_TIMES),
            former: deque(maxlen=_KEPT_TIMES),
        }
        self._guarding = False

    def guard(self) -> None:
        """The candidate answers from now on."""
        with self._lock:
            self._guarding, self._tally = True, _Tally()

    def answered(self, runner_of: RunnerOf, look: Look, by: LoadedModel, said: Prediction) -> None:
        """A frame was answered by one of both; let the other one look at it as well.

        Args:
            runner_of: has just run `by`.
            look: runs a model on the same frame, in the same way.
            by: who answered.
            said: the answer.
        """
        if by not in (self.candidate, self.former):
            return
        self._note_time(by, runner_of(by).timings)
        other = self.former if by is self.candidate else self.candidate
        with self._lock:
            self._tally.frames += 1
            wanted = not self._guarding or self._tally.frames % _LOOK_EVERY == 0
        if not wanted:
            return
        try:
            second = look(other)
        except ModelRunError:
            if other is self.candidate:
                self.failed()
            return
        self._note_time(other, runner_of(other).timings)
        with self._lock:
            self._tally.compared += 1
            self._tally.agreed += agreement(said, second)

    def failed(self) -> None:
        """The candidate failed on a frame."""
        with self._lock:
            self._errors += 1

    def fault(self) -> str:
        """Why the candidate is not to be used; empty while nothing speaks against it."""
        with self._lock:
            rules, tally = self._rules, self._tally
            if self._errors > rules.max_errors:
                return f"it failed on {self._errors} frames"
            ratio = self._latency_ratio()
            if ratio > rules.max_latency_ratio:
                return f"it takes {ratio:.1f} times as long as the active one"
            wanted = rules.guard_frames // _LOOK_EVERY if self._guarding else rules.shadow_frames
            mean = tally.agreed / tally.compared if tally.compared else 1.0
            if tally.compared >= max(1, wanted) and mean < rules.min_agreement:
                return f"it agrees with the active one on {mean:.0%} only"
            return ""

    @property
    def done(self) -> bool:
        """True when enough frames were seen in this phase."""
        with self._lock:
            wanted = self._rules.guard_frames if self._guarding else self._rules.shadow_frames
            return self._tally.frames >= wanted

    def progress(self) -> str:
        """For people, in steps, so that it is not another one for each frame."""
        with self._lock:
            wanted = self._rules.guard_frames if self._guarding else self._rules.shadow_frames
            quarter = 25 * (4 * self._tally.frames // max(1, wanted))
            return f"{'guard' if self._guarding else 'shadow'} {min(100, quarter)} %"

    def _note_time(self, model: LoadedModel, spent: Timings) -> None:
        with self._lock:
            self._times[model].append(spent.total_s)

    def _latency_ratio(self) -> float:
        new, old = self._times[self.candidate], self._times[self.former]
        if min(len(new), len(old)) < _FEWEST_TIMES:
            return 0.0
        return statistics.median(new) / max(1e-9, statistics.median(old))


def agreement(one: Prediction, other: Prediction) -> float:
    """How much of what either is sure of the other one sees as well, 0..1."""
    if isinstance(one, Classification) and isinstance(other, Classification):
        return float(
            one.label(int(one.confidence.argmax())) == other.label(int(other.confidence.argmax()))
        )
    if isinstance(one, Detections) and isinstance(other, Detections):
        found = [*_found(one, other), *_found(other, one)]
        return sum(found) / len(found) if found else 1.0
    return 0.0


def _found(one: Detections, other: Detections) -> list[bool]:
    """For each sure box of `one`, whether `other` has one of its label there."""
    overlaps = iou(one.xyxy, other.xyxy)
    labels = [other.label(i) for i in range(len(other))]
    return [
        any(overlaps[i, j] >= _SAME_IOU and labels[j] == one.label(i) for j in range(len(other)))
        for i in range(len(one))
        if one.confidence[i] >= _SURE
    ]
