"""A second look at doubtful frames, on the device: by a larger model, or at mirror images.

It says what holds for a doubtful frame until the cloud answers, and what the question is
worth: also where there is no cloud. It runs on one thread of its own, behind the decision
and before the snapshot, so the line never waits for it; that thread asks the kernel for the
rest of the processor that the frames leave. Doubts that wait for it are few, the most
valuable stay, and the others go on with the first word. All of that is counted.

What this does not promise: a word at once. It comes after `view_wait_s` and one run of the
second model; until then the model's own word holds.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from visionedge.entities import Decision, Frame, Prediction, Provisional, SecondOpinion
from visionedge.errors import ModelRunError, SettingsError
from visionedge.escalation.second import agree, doubt_left, with_second
from visionedge.escalation.thresholds import Thresholds
from visionedge.inference.mirrored import mirrored_look
from visionedge.inference.model import Borrowed, LoadedModel
from visionedge.inference.runner import Runner
from visionedge.inference.view import WHOLE, View
from visionedge.runtime.cores import leave_cores
from visionedge.runtime.worker import Worker
from visionedge.settings import DecisionSettings, Settings

log: Final = logging.getLogger(__name__)
FLIPS: Final = "flips"
Result = Literal["agreed", "differed", "failed", "skipped"]
T = TypeVar("T")
_IDLE_S: Final = 0.5
_STUCK_AFTER_S: Final = 300.0
"""A large model on a small device takes its time."""
_FIELD: Final = "escalation.second.model"


@dataclass(frozen=True, slots=True)
class Second:
    """How the doubtful frames of one camera are looked at again.

    Attributes:
        model: who looks.
        by: its name in messages, or `flips` where it is the camera's own model.
        view: what of a frame is looked at.
        thresholds: what would be taken.
        match_iou: boxes that overlap so much are the same object.
        floor: below it a box is noise.
        settles: a doubt below it is not asked, if both looks agree.
        queue: doubts that may wait.
    """

    model: LoadedModel
    by: str
    view: View
    thresholds: Thresholds
    match_iou: float
    floor: float
    settles: float
    queue: int

    def look(self, runner: Runner, frame: Frame, first: Prediction) -> SecondOpinion:
        """Look at a frame again.

        Raises:
            ModelRunError: the first word holds.
        """
        if self.by == FLIPS:
            seen = mirrored_look(runner.infer, frame.image, self.view, first)
        else:
            seen = runner.infer(frame.image, self.view)
        return SecondOpinion(self.by, agree(first, seen, self.thresholds, self.match_iou), seen)

    def doubt_left(self, first: Prediction, opinion: SecondOpinion) -> float:
        """How likely the first word is to be wrong after both looks, 0..1."""
        seen = opinion.prediction
        return doubt_left(first, seen, self.thresholds, self.floor, self.match_iou)

    def judge(
        self, decision: Decision, first: Prediction, opinion: SecondOpinion
    ) -> tuple[Decision, bool]:
        """The decision as it is after a second look, and whether that has settled its doubt."""
        judged = with_second(decision, self.doubt_left(first, opinion))
        return judged, opinion.agrees and judged.score < self.settles


def wants_second(settings: Settings, decision: DecisionSettings) -> bool:
    """True where doubts of these rules are looked at again."""
    if settings.escalation.second.enabled:
        return True
    words = [decision.provisional, decision.away]
    words += [rule.provisional for rule in decision.classes.values()]
    return Provisional.SECOND_MODEL in words


def second_models(settings: Settings) -> set[str]:
    """Models that must be in memory for second looks, by name, besides those of the cameras."""
    model = settings.escalation.second.model
    wanted = any(wants_second(settings, settings.decision_of(name)) for name in settings.cameras)
    return {model} if model and wanted else set()


def seconds_of(
    settings: Settings, models: Mapping[str, LoadedModel], views: Mapping[str, View]
) -> dict[str, Second]:
    """The second look of each camera that has one.

    Args:
        settings: which cameras, and by which model.
        models: those in use, by name.
        views: by camera.

    Raises:
        SettingsError: the second model does not do what a camera's own does.
    """
    escalation, found = settings.escalation, {}
    for name, camera in settings.cameras.items():
        decision = settings.decision_of(name)
        if not wants_second(settings, decision):
            continue
        model = models[escalation.second.model or camera.model]
        if model.card.task != models[camera.model].card.task:
            reason = f"it is for {model.card.task}, and the model of camera `{name}` is not"
            raise SettingsError(f"{_FIELD}: {reason}", fields={_FIELD: reason})
        found[name] = Second(
            model=model,
            by=model.card.name if escalation.second.model else FLIPS,
            view=views.get(name, WHOLE),
            thresholds=Thresholds(decision),
            match_iou=escalation.match_iou,
            floor=settings.models[camera.model].floor,
            settles=escalation.second.settles,
            queue=escalation.second.queue,
        )
    return found


@dataclass(slots=True)
class _Waiting(Generic[T]):
    item: T
    frame: Frame
    prediction: Prediction
    second: Second
    value: float
    number: int


class SecondLooks(Generic[T]):
    """Looks again, one frame at a time, and hands each on with what came of it.

    Args:
        then: takes an item, with its second opinion or without one; called on this thread.
        count: told of the camera and what became of each look.
        on_crash: told of a crash of the thread.
    """

    def __init__(
        self,
        then: Callable[[T, SecondOpinion | None], None],
        count: Callable[[str, Result], None],
        on_crash: Callable[[Worker, Exception], None],
    ) -> None:
        self._then = then
        self._count = count
        self._changed = threading.Condition()
        self._waiting: list[_Waiting[T]] = []
        self._in_hand: _Waiting[T] | None = None
        self._number = 0
        self.worker: Final = Worker(
            "second-look", self._run, stuck_after_s=_STUCK_AFTER_S, on_crash=on_crash
        )

    def offer(
        self, item: T, frame: Frame, prediction: Prediction, second: Second, value: float
    ) -> list[T]:
        """Let `item` wait for its second look.

        Returns:
            What has to go on without one: items worth less than the others that wait, this
            one perhaps.
        """
        with self._changed:
            self._number += 1
            self._waiting.append(_Waiting(item, frame, prediction, second, value, self._number))
            out: list[_Waiting[T]] = []
            while len(self._waiting) > second.queue or (self.worker.stopping and self._waiting):
                least = min(self._waiting, key=lambda w: (w.value, -w.number))
                self._waiting.remove(least)
                out.append(least)
            self._changed.notify()
        for each in out:
            self._count(each.frame.camera_id, "skipped")
        return [each.item for each in out]

    def stop(self, timeout_s: float) -> list[T]:
        """End the thread; returns what it did not come to look at, or is late with."""
        self.worker.request_stop()
        with self._changed:
            self._changed.notify_all()
        self.worker.stop(timeout_s)
        with self._changed:
            left, self._waiting = self._waiting, []
            if self._in_hand is not None:
                left, self._in_hand = [self._in_hand, *left], None
        return [each.item for each in left]

    def _run(self, worker: Worker) -> None:
        leave_cores()
        while not worker.stopping:
            worker.beat()
            self._look_at_next()

    def _look_at_next(self) -> None:
        # A call of its own, so that no frame is held while the next one is waited for.
        waiting = self._take()
        if waiting is None:
            return
        opinion = None
        try:
            opinion = self._look(waiting)
        except Exception:
            self._count(waiting.frame.camera_id, "failed")
            raise
        finally:
            with self._changed:
                is_ours, self._in_hand = self._in_hand is waiting, None
            # What was late at the end has gone on without a second look. A crash is no reason to
            # lose a doubt: it goes on without, too.
            if is_ours:
                self._then(waiting.item, opinion)

    def _take(self) -> _Waiting[T] | None:
        with self._changed:
            if not self._waiting:
                self._changed.wait(_IDLE_S)
            if not self._waiting or self.worker.stopping:
                return None
            best = max(self._waiting, key=lambda w: (w.value, -w.number))
            self._waiting.remove(best)
            self._in_hand = best
            return best

    def _look(self, waiting: _Waiting[T]) -> SecondOpinion | None:
        second, frame = waiting.second, waiting.frame
        try:
            with Borrowed() as runner_of:
                opinion = second.look(runner_of(second.model), frame, waiting.prediction)
        except ModelRunError as error:
            log.error("second look at %s, frame %d: %s", frame.camera_id, frame.seq, error)
            self._count(frame.camera_id, "failed")
            return None
        self._count(frame.camera_id, "agreed" if opinion.agrees else "differed")
        return opinion
