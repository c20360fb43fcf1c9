"""Escalations replayed: the rules judge the prediction that was sent, by the given settings.

Confidences in a message read back as they were, so with the settings that sent it the rules
give the same reason and the same score, and so does the doubt that a second look left. What
hangs on more than the message (an object that flickers, the control sample, a new picture, a
question from outside) is shown as it was recorded.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from visionedge.commands.replay_rules import alike, doubts, explained
from visionedge.entities import (
    Action,
    Classification,
    Decision,
    Detections,
    Prediction,
    Question,
)
from visionedge.errors import SettingsError
from visionedge.escalation.policy import Context
from visionedge.escalation.rules import RULES
from visionedge.escalation.second import doubt_left, with_second
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import Settings
from visionedge.wire import Escalation, PredictionBody

_STATEFUL: Final = {"unstable", "novelty"}


def replay_message(path: Path, settings: Settings, camera: str | None) -> Iterator[dict[str, Any]]:
    """A line for each escalation of a file.

    Args:
        path: JSON of one, or JSON lines as a folder hub writes them.
        settings: whose rules judge.
        camera: whose; None is that of the message.

    Raises:
        SettingsError: the file cannot be read, or holds something else.
    """
    for message in _messages(path):
        name = camera or message.camera
        prediction = _prediction(message.prediction, message)
        decision, known = settings.decision_of(name), settings.cameras.get(name)
        floor = settings.models[known.model].floor if known else 0.0
        context = Context(bool(known and known.expect_objects), floor)
        found = doubts(prediction, decision, context)
        outside = message.reason in _STATEFUL or message.reason not in RULES
        reason, score = (found[0].reason, found[0].score) if found else ("confident", 0.0)
        if outside:
            reason, score = message.reason, message.score
        elif found and message.second_look is not None:
            seen = _prediction(message.second_look.prediction, message)
            match_iou = settings.escalation.match_iou
            left = doubt_left(prediction, seen, Thresholds(decision), floor, match_iou)
            question = Question("", reason, frozenset(), 0.0, score, 0)
            judged = Decision(Action.ESCALATE, reason, score, 0, question)
            score = with_second(judged, left).score
        yield {
            "frame": message.id,
            "camera": name,
            "action": "escalate" if found or outside else "accept",
            "reason": reason,
            "score": score,
            "rules": explained(found),
            "recorded": {"reason": message.reason, "score": message.score},
            "same": alike((reason, score), (message.reason, message.score)),
            **({"not_replayed": "it hangs on more than this message"} if outside else {}),
        }


def _messages(path: Path) -> Iterator[Escalation]:
    try:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines() if path.suffix == ".jsonl" else [text]
        if not lines:
            raise ValueError("it is empty")
        for line in lines:
            document = json.loads(line)
            yield Escalation.read(_whole(document))
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions"
        ) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"{path} holds no escalations: {error}",
            hint="name a message `escalation/1`, or a file escalation-*.jsonl of a folder hub",
        ) from None


def _whole(document: Any) -> Any:  # noqa: ANN401 - whatever JSON gave
    """The message itself; a folder hub wraps it, and keeps its picture elsewhere."""
    body = document.get("body", document) if isinstance(document, dict) else document
    if isinstance(body, dict) and isinstance(body.get("image"), dict):
        return {**body, "image": {"data": "", **body["image"]}}
    return body


def _prediction(body: PredictionBody, message: Escalation) -> Prediction:
    if body.task == "classification":
        order = {each.class_id: each for each in body.classes}
        labels = [order[i].label if i in order else str(i) for i in range(_classes(body))]
        confidence = [order[i].confidence if i in order else 0.0 for i in range(_classes(body))]
        return Classification(np.array(confidence, np.float32), tuple(labels))
    names = list(dict.fromkeys(each.label for each in body.detections))
    x1, y1, x2, y2 = message.image.crop
    scale, shift = (x2 - x1, y2 - y1) * 2, (x1, y1) * 2
    boxes = np.array([each.box for each in body.detections], np.float32).reshape(-1, 4)
    return Detections(
        boxes * np.array(scale, np.float32) + np.array(shift, np.float32),
        np.array([each.confidence for each in body.detections], np.float32),
        np.array([names.index(each.label) for each in body.detections], np.int32),
        tuple(names),
    )


def _classes(body: PredictionBody) -> int:
    """How many there were at least: a message names the best ones only."""
    return max((each.class_id or 0 for each in body.classes), default=-1) + 1
