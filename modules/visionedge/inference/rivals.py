"""Two bundles on the same live frames: is the new one as quick, as steady, and of one mind?

Golden frames show that a bundle is what its maker made. Whether it is any good on this line,
with this light and this processor, only the line can show. So the new one first looks at
live frames in the shadow of the active one; then, where a share is set, it answers that
share of them for a set time, as a canary; then it answers all while the old one looks over
its shoulder on some frames. In each phase errors, latency and agreement are weighed.

Which frames a canary answers depends on their number at the camera and on nothing else, so
that it can be told afterwards which model a frame met. The numbers are spread by the golden
ratio (Weyl): even over any stretch, also where only each n-th frame is taken.

Compared is what matters to a decision: the sure objects of either, which the other should
have found as well, sure or not; of a classifier the first class. Labels are compared by
name, because a new bundle may number them anew.

What this does not promise: that the new one is better. Only that it is not broken.
"""

import statistics
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Literal

from visionedge.entities import Classification, Detections, Prediction
from visionedge.errors import ModelRunError
from visionedge.inference.model import LoadedModel
from visionedge.inference.runner import Runner, Timings
from visionedge.overlap import iou
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.settings import DeliverySettings
from visionedge.wire import TrialTelemetry

_SURE: Final = 0.5
_SAME_IOU: Final = 0.5
_LOOK_EVERY: Final = 5
"""In the guard window the old bundle looks at every fifth frame: enough to see a change."""
_KEPT_TIMES: Final = 500
_FEWEST_TIMES: Final = 20
"""Fewer say nothing about a median."""
_WHOLE: Final = 2**32
_GOLDEN: Final = 2_654_435_769
"""2^32 over the golden ratio (Knuth, The Art of Computer Programming, 6.4)."""
Phase = Literal["shadow", "canary", "guard"]
RunnerOf = Callable[[LoadedModel], Runner]
"""The runner of a model that is borrowed for the frame at hand."""
Look = Callable[[LoadedModel], Prediction]
"""What a model sees in the frame at hand; raises ModelRunError."""


@dataclass(slots=True)
class _Tally:
    frames: int = 0
    errors: int = 0
    compared: int = 0
    agreed: float = 0.0

    @property
    def agreement(self) -> float:
        """Mean, 0..1; 1 where nothing was compared."""
        return self.agreed / self.compared if self.compared else 1.0


class Rivals:
    """A trial of one bundle against another. Safe for many threads.

    Args:
        candidate: the new bundle.
        former: the active one.
        rules: how many frames, and what is too much; may be changed meanwhile.
        clock: tells how long a canary was held.
    """

    def __init__(
        self,
        candidate: LoadedModel,
        former: LoadedModel,
        rules: DeliverySettings,
        clock: Clock | None = None,
    ) -> None:
        self.candidate: Final = candidate
        self.former: Final = former
        self.rules = rules
        self.phase: Phase = "shadow"
        self._clock = clock or SystemClock()
        self._began_ns = self._clock.ns()
        self._held_s = 0.0
        self._lock = threading.Lock()
        self._tally = _Tally()
        self._errors = 0
        self._times: dict[LoadedModel, deque[float]] = {
            candidate: deque(maxlen=_KEPT_TIMES),
            former: deque(maxlen=_KEPT_TIMES),
        }

    def canary(self, held_s: float = 0.0) -> None:
        """The candidate answers its share from now on; for `held_s` it has done so already."""
        with self._lock:
            self.phase, self._tally = "canary", _Tally()
            self._began_ns, self._held_s = self._clock.ns(), held_s

    def guard(self) -> None:
        """The candidate answers from now on."""
        with self._lock:
            self.phase, self._tally = "guard", _Tally()

    @property
    def held_s(self) -> float:
        """For how long the candidate has been a canary, in this process and before."""
        return self._held_s + (self._clock.ns() - self._began_ns) / 1e9

    def stands_in(self, seq: int) -> bool:
        """True for a frame that the candidate answers as a canary.

        Args:
            seq: number of the frame at its camera.
        """
        drawn = seq * _GOLDEN % _WHOLE < self.rules.canary_share * _WHOLE
        return self.phase == "canary" and drawn

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
            if self.phase == "canary" and by is self.former:
                return
            self._tally.frames += 1
            wanted = self.phase != "guard" or self._tally.frames % _LOOK_EVERY == 0
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
            rules, tally = self.rules, self._tally
            if self._errors > rules.max_errors:
                return f"it failed on {self._errors} frames"
            ratio = self._latency_ratio()
            if ratio > rules.max_latency_ratio:
                return f"it takes {ratio:.1f} times as long as the active one"
            wanted = {
                "shadow": rules.shadow_frames,
                "canary": _FEWEST_TIMES,
                "guard": rules.guard_frames // _LOOK_EVERY,
            }[self.phase]
            mean = tally.agreement
            if tally.compared >= max(1, wanted) and mean < rules.min_agreement:
                return f"it agrees with the active one on {mean:.0%} only"
            return ""

    @property
    def done(self) -> bool:
        """True when enough was seen in this phase."""
        with self._lock:
            return self._share_done() >= 1

    def progress(self) -> str:
        """For people, in steps, so that it is not another one for each frame."""
        with self._lock:
            return f"{self.phase} {min(100, 25 * int(4 * self._share_done()))} %"

    def told(self) -> TrialTelemetry:
        """Both side by side in this phase, for telemetry."""
        with self._lock:
            return TrialTelemetry(
                phase=self.phase,
                share=self.rules.canary_share if self.phase == "canary" else None,
                frames=self._tally.frames,
                errors=self._errors,
                compared=self._tally.compared,
                agreement=round(self._tally.agreement, 4) if self._tally.compared else None,
                candidate_ms=_median_ms(self._times[self.candidate]),
                active_ms=_median_ms(self._times[self.former]),
            )

    def _share_done(self) -> float:
        """Of what this phase wants to see; 1 and more is enough."""
        if self.phase == "canary":
            # A line that stands still shows nothing, however long.
            seen = self._tally.compared / _FEWEST_TIMES
            held = self.held_s / max(1e-9, self.rules.canary_s)
            return min(seen, held) if self.rules.canary_share else 1.0
        rules = self.rules
        wanted = rules.guard_frames if self.phase == "guard" else rules.shadow_frames
        return self._tally.frames / wanted if wanted else 1.0

    def _note_time(self, model: LoadedModel, spent: Timings) -> None:
        with self._lock:
            self._times[model].append(spent.total_s)

    def _latency_ratio(self) -> float:
        new, old = self._times[self.candidate], self._times[self.former]
        if min(len(new), len(old)) < _FEWEST_TIMES:
            return 0.0
        return statistics.median(new) / max(1e-9, statistics.median(old))


def _median_ms(times: Collection[float]) -> float | None:
    return round(statistics.median(times) * 1e3, 3) if times else None


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
