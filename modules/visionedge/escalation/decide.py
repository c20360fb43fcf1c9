"""The decision on each frame: accept, escalate, or suppress, with its reason.

It is made on the hot path, by every worker, and knows nothing of link, spool or cloud: a
frame is worth asking about whether or not somebody can answer now. A `Decider` is built
whole from one revision of the settings and replaced whole; what it has its eye on, and what
it has spent, is handed from the old one to the new.

Reasons of its own, beside those of the rules: `confident`; `control`, a confident frame of
the control sample; and of suppressed frames `disabled`, `same_object` (a question about it
is open, this frame may be a better view), `asked` (it was asked about), `repeated` (the
same scene with the same prediction was), `bad_picture` (a fault of the camera), and `too_soon`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from visionedge.entities import (
    Action,
    Decision,
    Detections,
    Frame,
    Prediction,
    Provisional,
    Question,
    new_id,
)
from visionedge.escalation import control
from visionedge.escalation.attention import Attention, CameraAttention, view_of, worth
from visionedge.escalation.budget import Budget, Spending
from visionedge.escalation.drift import Baseline, DriftState
from visionedge.escalation.policy import Context, Doubt, EscalationPolicy
from visionedge.escalation.quality import Fault
from visionedge.escalation.reading import Reading, read
from visionedge.escalation.rules import RULES
from visionedge.escalation.scenes import scene_of
from visionedge.escalation.thresholds import Thresholds, label_key
from visionedge.escalation.tracks import Track
from visionedge.settings import DecisionSettings, Settings

CONFIDENT: Final = "confident"
DISABLED: Final = "disabled"
TOO_SOON: Final = "too_soon"
SAME_OBJECT: Final = "same_object"
ASKED: Final = "asked"
REPEATED: Final = "repeated"
BAD_PICTURE: Final = "bad_picture"

GREW_SURE: Final = "grew_sure"
SECOND_LOOK: Final = "second_look"
OVER_BUDGET: Final = "over_budget"
BY_CHOICE: Final = frozenset({GREW_SURE, SECOND_LOOK, OVER_BUDGET})
"""Why a question that was opened is not asked, where nothing went wrong."""

OnFault = Callable[[str, Fault], None]
"""Gets the camera and its fault, empty when it is gone."""


_STAGGER: Final = 0.25
"""Of the wait for a better view; the last of many cameras waits nearly so much longer."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """What all rules together say of one frame."""

    doubt: Doubt
    where: frozenset[int] | None
    """The doubtful boxes of all rules; None where the frame as a whole is doubted."""


@dataclass(frozen=True, slots=True)
class _Judge:
    """The rules of one camera."""

    rules: tuple[EscalationPolicy, ...]
    thresholds: Thresholds
    context: Context
    provisional: Provisional
    away: Provisional | None
    of_class: dict[str, Provisional]
    wants_novelty: bool

    def find(self, seen: Reading) -> _Finding | None:
        context = self.context
        doubts = [d for rule in self.rules if (d := rule.judge(seen, context)) is not None]
        if not doubts:
            return None
        strongest = max(doubts, key=attrgetter("score"))
        parts = [doubt.where for doubt in doubts if doubt.where is not None]
        whole = len(parts) < len(doubts)
        return _Finding(strongest, None if whole else frozenset().union(*parts))


class Decider:
    """Decides by one revision of the settings. Safe for many threads.

    Args:
        settings: `decision`, `escalation`, and what cameras and models say of doubt.
        revision: of the settings; stands in every decision.
        before: the decider that this one replaces; None at the start.
        on_fault: told of a camera whose picture has become bad, or good again; called on
            the hot path, so it must only take a note.
        away: whether the cloud is measured to be away; asked on the hot path.
    """

    def __init__(
        self,
        settings: Settings,
        revision: int,
        before: "Decider | None" = None,
        on_fault: OnFault | None = None,
        away: Callable[[], bool] = lambda: False,
    ) -> None:
        self._on_fault = on_fault
        self._away = away
        self._attention: Attention = before._attention if before else Attention()
        self._budget: Budget = Budget(settings, before._budget.spending if before else Spending())
        self._revision = revision
        self._settings = settings.escalation
        self._min_interval_ns = round(settings.escalation.min_interval_s * 1e9)
        self._view_wait_ns = round(settings.escalation.view_wait_s * 1e9)
        self._view_waits_ns = _staggered(self._view_wait_ns, sorted(settings.cameras))
        self._ask_again_ns = round(settings.escalation.ask_again_s * 1e9)
        self._stranger = _judge(settings.decision, Context())
        self._judges = {
            name: _judge(
                settings.decision_of(name),
                Context(camera.expect_objects, settings.models[camera.model].floor),
            )
            for name, camera in settings.cameras.items()
        }

    def decide(self, frame: Frame, prediction: Prediction) -> Decision:
        """Decide on one frame.

        Returns:
            ACCEPT with score 0; ESCALATE with the reason and score of the strongest doubt and
            the question that it opens; or SUPPRESS with that score and why it is not asked.
        """
        # A frame of a camera that was just removed may still be on its way.
        judge = self._judges.get(frame.camera_id, self._stranger)
        seen = read(prediction, judge.thresholds)
        camera = self._attention.of(frame.camera_id)
        with camera.lock:
            if camera.picture.look(frame) and self._on_fault is not None:
                self._on_fault(frame.camera_id, camera.picture.fault)
            camera.drift.look(prediction, judge.thresholds, frame.captured_ns)
            tracks = self._follow(camera, judge, frame, seen)
            if judge.wants_novelty:
                seen.novelty = camera.novelty.look(frame)
            finding = judge.find(seen)
            for i, track in enumerate(tracks):
                track.judge(finding is not None and (finding.where is None or i in finding.where))
            if finding is None:
                return self._confident(camera, frame, prediction, tracks)
            action, reason, question = self._ask(camera, frame, seen, finding, tracks)
        score = finding.doubt.score
        away = judge.away if judge.away is not None and self._away() else None
        held = away or _provisional(judge, prediction, finding)
        return Decision(action, reason, score, self._revision, question, held)

    def admit(self, frame: Frame, decision: Decision, now_ns: int) -> str:
        """Why an escalation whose time has come is not asked after all; empty if it is.

        Args:
            frame: the best view.
            decision: on it, with its question.
            now_ns: monotonic.

        Returns:
            `grew_sure`, where better views have settled the doubt; `over_budget`; or nothing.
        """
        question = decision.question
        if question is None:
            return ""
        if not self._attention.close(frame.camera_id, question, frame.captured_ns):
            return GREW_SURE
        if not self._budget.admits(frame.camera_id, question.value, now_ns):
            return OVER_BUDGET
        return ""

    def spend(self, camera_id: str, size_bytes: int, now_ns: int) -> None:
        """An escalation was made; its budget is drawn on."""
        self._budget.spend(camera_id, size_bytes, now_ns)

    def watch_drift(
        self, models: Mapping[str, tuple[str, Baseline | None, Baseline | None]]
    ) -> None:
        """Compare each camera with the baseline of its model from now on.

        Args:
            models: by camera the model's key, the baseline of its card, and the one that was
                learned with it before.
        """
        for name, (key, card, kept) in models.items():
            camera = self._attention.of(name)
            with camera.lock:
                camera.drift.use(key, self._settings.drift, card, kept)

    def forget(self, camera_id: str) -> None:
        """The camera is gone."""
        self._attention.forget(camera_id)

    def look_anew(self, camera_id: str) -> None:
        """Another camera stands behind the name."""
        self._attention.look_anew(camera_id)

    def drift(self) -> dict[str, tuple[DriftState, Baseline | None]]:
        """By camera how far it has drifted, and the baseline that was learned there."""
        found = {}
        for name in self._judges:
            camera = self._attention.of(name)
            with camera.lock:
                found[name] = (camera.drift.state, camera.drift.learned)
        return found

    def restore(self, made: Iterable[tuple[str, int, float]], now_ns: int) -> None:
        """Draw the budgets by what an earlier process made: camera, bytes and age in seconds."""
        self._budget.restore(made, now_ns)

    def settle(self, frame: Frame, decision: Decision) -> None:
        """A second look has settled a doubt: its objects count as asked."""
        if decision.question is not None:
            self._attention.close(frame.camera_id, decision.question, frame.captured_ns)

    def give_up(self, frame: Frame, decision: Decision) -> None:
        """An escalation was lost before its time came; its objects may be asked about again."""
        if decision.question is not None:
            self._attention.release(frame.camera_id, decision.question)

    def _follow(
        self, camera: CameraAttention, judge: _Judge, frame: Frame, seen: Reading
    ) -> list[Track]:
        """The tracks of the boxes, as far as they are followed."""
        if not self._settings.one_per_object or not isinstance(seen.prediction, Detections):
            return []
        tracks = camera.tracks.observe(seen, judge.context.floor, frame.captured_ns)
        seen.flicker = [track.flicker for track in tracks]
        return tracks

    def reconsider(
        self, frame: Frame, prediction: Prediction, accepted: Decision, doubt: float
    ) -> Decision | None:
        """A second look saw a confident frame otherwise.

        Args:
            frame: the frame.
            prediction: of the first look.
            accepted: the decision on it, with the question that a second look was to settle.
            doubt: that is left after both looks, 0..1.

        Returns:
            The decision to ask about it; None where its objects were asked about lately.
        """
        judge = self._judges.get(frame.camera_id, self._stranger)
        camera, question = self._attention.of(frame.camera_id), accepted.question
        assert question is not None
        with camera.lock:
            seen = camera.tracks.of_ids(question.tracks)
            fresh = [track for track in seen if not self._was_asked(track, frame.captured_ns)]
            if seen and not fresh:
                return None
            if not camera.admit(frame.captured_ns, self._min_interval_ns):
                return None
            for track in fresh:
                track.asked_ns = frame.captured_ns
            label = control.stratum_of(prediction)
            value = worth(doubt, camera.rarity(label))
            camera.asked(label)
        away = judge.away if judge.away is not None and self._away() else None
        return Decision(
            Action.ESCALATE,
            SECOND_LOOK,
            doubt,
            self._revision,
            replace(question, value=value),
            away or judge.provisional,
        )

    def _confident(
        self, camera: CameraAttention, frame: Frame, prediction: Prediction, tracks: list[Track]
    ) -> Decision:
        wanted = self._settings.enabled and not camera.picture.fault
        per_hour = self._settings.control_per_hour if wanted else 0.0
        if camera.drift.state.breached:
            per_hour *= self._settings.drift.control_factor
        if not camera.control.draws(prediction, frame.captured_ns, per_hour):
            second = self._settings.second
            share = second.confident_share if wanted and second.enabled else 0.0
            look = None
            if camera.looks_again(share):
                ids = frozenset(track.id for track in tracks)
                look = Question(new_id(), SECOND_LOOK, ids, 0.0, 0.0, frame.captured_ns)
            return Decision(Action.ACCEPT, CONFIDENT, 0.0, self._revision, look)
        question = Question(
            new_id(), control.REASON, frozenset(), 0.0, control.VALUE, frame.captured_ns
        )
        return Decision(Action.ESCALATE, control.REASON, 0.0, self._revision, question)

    def _ask(
        self,
        camera: CameraAttention,
        frame: Frame,
        seen: Reading,
        finding: _Finding,
        tracks: list[Track],
    ) -> tuple[Action, str, Question | None]:
        if not self._settings.enabled:
            return Action.SUPPRESS, DISABLED, None
        if camera.picture.fault:
            return Action.SUPPRESS, BAD_PICTURE, None
        if finding.where is not None and max(finding.where) < len(tracks):
            return self._ask_of_objects(camera, frame, seen, finding, tracks)
        return self._ask_of_scene(camera, frame, seen.prediction, finding)

    def _ask_of_objects(
        self,
        camera: CameraAttention,
        frame: Frame,
        seen: Reading,
        finding: _Finding,
        tracks: list[Track],
    ) -> tuple[Action, str, Question | None]:
        assert finding.where is not None
        open_ = {
            i: tracks[i]
            for i in sorted(finding.where)
            if not self._was_asked(tracks[i], frame.captured_ns)
        }
        if not open_:
            return Action.SUPPRESS, ASKED, None
        action, reason = Action.SUPPRESS, SAME_OBJECT
        fresh = [track for track in open_.values() if not track.question]
        # Of several questions that of the oldest object: ids are random, and a replay is not.
        oldest = sorted(open_.values(), key=lambda track: track.id)
        ids = [track.question for track in oldest if track.question]
        if fresh and camera.question and frame.captured_ns < camera.due_ns:
            ids = [camera.question]
        elif fresh:
            if not camera.admit(frame.captured_ns, self._min_interval_ns):
                return Action.SUPPRESS, TOO_SOON, None
            action, reason = Action.ESCALATE, finding.doubt.reason
            wait_ns = self._view_waits_ns.get(frame.camera_id, self._view_wait_ns)
            ids = [camera.open_question(frame.captured_ns + wait_ns)]
        id_ = ids[0]
        for track in fresh:
            track.question = id_
        mine = {i: track for i, track in open_.items() if track.question == id_}
        label = seen.prediction.label(min(mine))
        value = self._value(camera, finding, label, asks=action is Action.ESCALATE)
        shown = frozenset(track.id for track in mine.values())
        view = view_of(frame, [seen.xyxy[i] for i in mine])
        return (
            action,
            reason,
            Question(id_, finding.doubt.reason, shown, view, value, camera.due_ns),
        )

    def _ask_of_scene(
        self, camera: CameraAttention, frame: Frame, prediction: Prediction, finding: _Finding
    ) -> tuple[Action, str, Question | None]:
        # Asked first, because looking for the scene among others reads all of the frame.
        if camera.is_too_soon(frame.captured_ns, self._min_interval_ns):
            return Action.SUPPRESS, TOO_SOON, None
        follow = self._settings.one_per_object
        scene = scene_of(frame, prediction, finding.doubt.reason) if follow else None
        if scene and camera.scenes.is_repeated(scene, frame.captured_ns, self._ask_again_ns):
            return Action.SUPPRESS, REPEATED, None
        camera.admit(frame.captured_ns, self._min_interval_ns)
        if scene:
            camera.scenes.remember(scene, frame.captured_ns)
        value = self._value(camera, finding, control.stratum_of(prediction), asks=True)
        question = Question(
            new_id(), finding.doubt.reason, frozenset(), 0.0, value, frame.captured_ns
        )
        return Action.ESCALATE, finding.doubt.reason, question

    def _value(
        self, camera: CameraAttention, finding: _Finding, label: str, *, asks: bool
    ) -> float:
        value = worth(finding.doubt.score, camera.rarity(label))
        if asks:
            camera.asked(label)
        return value

    def _was_asked(self, track: Track, now_ns: int) -> bool:
        return track.asked_ns is not None and now_ns - track.asked_ns < self._ask_again_ns


def _staggered(wait_ns: int, cameras: list[str]) -> dict[str, int]:
    """A wait for each camera, a little longer than that of the one before.

    Cameras over one line see the same thing at the same moment. If all their questions were due
    at once, most would find no place in the queue of second looks, and their frames would fill it.
    """
    step_ns = _STAGGER * wait_ns / max(1, len(cameras))
    return {name: round(wait_ns + rank * step_ns) for rank, name in enumerate(cameras)}


def _judge(decision: DecisionSettings, context: Context) -> _Judge:
    return _Judge(
        rules=tuple(make(decision) for make in RULES.values()),
        thresholds=Thresholds(decision),
        context=context,
        provisional=decision.provisional,
        away=decision.away,
        of_class={
            label_key(name): rule.provisional
            for name, rule in decision.classes.items()
            if rule.provisional is not None
        },
        wants_novelty=decision.novelty < 1,
    )


def _provisional(judge: _Judge, prediction: Prediction, finding: _Finding) -> Provisional:
    """Of the doubtful classes the strictest word: a part is as bad as its worst doubt."""
    if not judge.of_class or not len(prediction):
        return judge.provisional
    if isinstance(prediction, Detections) and finding.where is not None:
        labels = {prediction.label(i) for i in finding.where}
    else:
        labels = {control.stratum_of(prediction)}
    words = {judge.of_class.get(label_key(label), judge.provisional) for label in labels}
    return max(words, key=_STRICTNESS.index)


_STRICTNESS: Final = (
    Provisional.BEST_GUESS,
    Provisional.SECOND_MODEL,
    Provisional.HOLD,
    Provisional.REJECT,
)
