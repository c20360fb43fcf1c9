"""Videos and pictures replayed through everything that decides, on a clock made of frame numbers.

Questions are closed when they are due by that clock, as the module closes them by its own: the
best view, the second look, the budget. A picture's bytes are not known without encoding it, so
byte budgets are drawn on by the most that a picture may have.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from visionedge.commands.footage import shots, why_unreadable
from visionedge.commands.replay_rules import doubts, explained
from visionedge.entities import Action, Decision, Frame, Image, Prediction
from visionedge.errors import ModelError, SettingsError
from visionedge.escalation import control
from visionedge.escalation.decide import SECOND_LOOK, Decider
from visionedge.escalation.policy import Context
from visionedge.inference.cascade import rules_of
from visionedge.inference.model import LoadedModel, Second, load_model
from visionedge.inference.view import View, view_of
from visionedge.second_look import second_models, seconds_of
from visionedge.settings import Settings

_BEGAN: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Footage:
    """Frames of files by number, over and over, as a camera that plays them in a loop.

    Args:
        paths: in their order.

    Attributes:
        unread: names of what could not be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.unread: Final[set[str]] = set()
        self._paths = paths
        self._stream = self._pictures()
        self._next = 0
        self._held: dict[int, Image] = {}

    def once(self) -> Iterator[tuple[str, Image]]:
        """Each frame with its name; what cannot be read is named on stderr and left out."""
        for path in self._paths:
            for shot in shots(path):
                if shot.image is None:
                    self.unread.add(shot.name)
                    why = why_unreadable(shot.path)
                    sys.stderr.write(f"visionedge: {shot.name} cannot be read: {why}\n")
                    continue
                shot.image.flags.writeable = False
                yield shot.name, shot.image

    def frame(self, number: int, keep: int = 64) -> Image:
        """The picture that a camera gave as its frame of this number.

        Raises:
            SettingsError: it is asked for too late, or there is none.
        """
        while self._next <= number:
            image = next(self._stream, None)
            if image is None:
                raise SettingsError(
                    "there is no picture in the input", hint="name what the camera played"
                )
            self._held[self._next] = image
            self._held.pop(self._next - keep, None)
            self._next += 1
        if number not in self._held:
            raise SettingsError(f"frame {number} comes out of order", hint="use the whole trace")
        return self._held[number]

    def _pictures(self) -> Iterator[Image]:
        while True:
            before = self._next
            for _, image in self.once():
                yield image
            if self._next == before:
                return


@dataclass(slots=True)
class _Open:
    """A question that waits for its time."""

    number: int
    frame: Frame
    prediction: Prediction
    decision: Decision


@dataclass(slots=True)
class _Replay:
    settings: Settings
    camera: str
    models: dict[str, LoadedModel]
    decider: Decider
    view: View
    open: dict[str, _Open] = field(default_factory=dict)
    asked: int = 0


def models_of(settings: Settings, camera: str) -> dict[str, LoadedModel]:
    """The models that one camera needs, by name.

    Raises:
        SettingsError: one cannot be used; its name in the settings is told.
    """
    first = settings.cameras[camera].model
    loaded: dict[str, LoadedModel] = {}
    for name in {first} | second_models(settings):
        model = _loaded(settings, name)
        if then := settings.models[name].then:
            model = model.with_second(Second(_loaded(settings, then.model), rules_of(then)))
        loaded[name] = model
    return loaded


def _loaded(settings: Settings, name: str) -> LoadedModel:
    own = settings.models[name]
    try:
        return load_model(Path(own.path), own)
    except ModelError as error:
        raise SettingsError(
            f"model `{name}`: {error}", hint=f"models.{name}.path of --config says where it is"
        ) from None


def view_of_camera(settings: Settings, camera: str) -> View:
    """What of its frames is looked at."""
    known = settings.cameras[camera]
    return view_of(known.region, known.tiles)


def replay_frames(
    footage: Footage, settings: Settings, camera: str, fps: float
) -> Iterator[dict[str, Any]]:
    """A line for each frame, and for each question when it is closed.

    Args:
        footage: what the camera sees.
        settings: everything that decides.
        camera: whose.
        fps: pace of the frames.

    Raises:
        ModelError: the model cannot be used, or failed on a frame.
    """
    alone = settings.model_copy(update={"cameras": {camera: settings.cameras[camera]}})
    replay = _Replay(
        alone, camera, models_of(alone, camera), Decider(alone, 1), view_of_camera(alone, camera)
    )
    runner = replay.models[alone.cameras[camera].model].runner()
    for seq, (name, image) in enumerate(footage.once()):
        now_ns = round(seq / fps * 1e9)
        yield from _close(replay, now_ns)
        at = _BEGAN + timedelta(seconds=seq / fps)
        frame = Frame(image, camera, seq, at, now_ns)
        prediction = runner.infer(image, replay.view)
        decision = replay.decider.decide(frame, prediction)
        number = _keep(replay, frame, prediction, decision)
        yield {
            "frame": name,
            "action": decision.action.value,
            "reason": decision.reason,
            "score": decision.score,
            "provisional": decision.provisional.value if decision.provisional else None,
            "rules": _why(alone, camera, prediction),
            **({"question": number} if number else {}),
        }
    yield from _close(replay, None)


def _why(settings: Settings, camera: str, prediction: Prediction) -> list[dict[str, Any]]:
    known = settings.cameras[camera]
    context = Context(known.expect_objects, settings.models[known.model].floor)
    return explained(doubts(prediction, settings.decision_of(camera), context))


def _keep(replay: _Replay, frame: Frame, prediction: Prediction, decision: Decision) -> int:
    """Open the question of a frame, or take it as a better view; its number, 0 for none."""
    question = decision.question
    if question is None or decision.action is Action.ACCEPT:
        return 0
    known = replay.open.get(question.id)
    if decision.action is Action.ESCALATE:
        replay.asked += 1
        replay.open[question.id] = _Open(replay.asked, frame, prediction, decision)
        return replay.asked
    if known is None:
        return 0
    best = known.decision.question
    if best is not None and question.view > best.view:
        replay.open[question.id] = _Open(known.number, frame, prediction, decision)
    return known.number


def _close(replay: _Replay, now_ns: int | None) -> Iterator[dict[str, Any]]:
    """Close what is due, the earliest first; everything where `now_ns` is None."""
    waiting = sorted(
        ((q.due_ns, id_) for id_, o in replay.open.items() if (q := o.decision.question)),
    )
    for due_ns, id_ in waiting:
        if now_ns is None or due_ns <= now_ns:
            yield _closed(replay, replay.open.pop(id_), due_ns)


def _closed(replay: _Replay, question: _Open, now_ns: int) -> dict[str, Any]:
    frame, decision, decider = question.frame, question.decision, replay.decider
    cause, seconds = "", seconds_of(replay.settings, replay.models, {replay.camera: replay.view})
    second = seconds.get(replay.camera)
    asked = decision.question
    if second is not None and asked is not None and asked.reason != control.REASON:
        opinion = second.look(second.model.runner(), frame, question.prediction)
        decision, settled = second.judge(decision, question.prediction, opinion)
        if settled:
            decider.settle(frame, decision)
            cause = SECOND_LOOK
    cause = cause or decider.admit(frame, decision, now_ns)
    if not cause:
        size_bytes = replay.settings.escalation.snapshot.max_image_bytes
        decider.spend(frame.camera_id, size_bytes, now_ns)
    return {
        "question": question.number,
        "frame": frame.seq,
        "asked": not cause,
        "why": cause or (decision.question.reason if decision.question else decision.reason),
        "score": decision.score,
    }
