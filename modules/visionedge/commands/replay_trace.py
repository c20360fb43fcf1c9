"""A trace replayed: each call to the decider again, in its order, and each answer compared.

The pictures come from what the camera played, by the number of the frame; predictions are
computed anew by the model of the settings. What another thread did meanwhile (questions closed,
second looks, budgets) is in the trace, at its place. So the same settings, model and
processor give the same decisions, to the last bit.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from visionedge.commands.replay_frames import Footage, models_of, view_of_camera
from visionedge.commands.replay_rules import alike, doubts, explained
from visionedge.entities import Decision, Frame, Prediction
from visionedge.errors import SettingsError
from visionedge.escalation.decide import Decider
from visionedge.escalation.policy import Context
from visionedge.escalation.trace import told
from visionedge.inference.runner import Runner
from visionedge.settings import Settings

_BEGAN: Final = datetime(2000, 1, 1, tzinfo=UTC)
_REMEMBERED: Final = 4096
"""Frames whose decision may still be spoken of; a question waits a minute at most."""


@dataclass(slots=True)
class _Replay:
    settings: Settings
    footage: Footage
    decider: Decider
    runners: dict[str, Runner] = field(default_factory=dict)
    decided: OrderedDict[tuple[str, int], tuple[Frame, Prediction, Decision]] = field(
        default_factory=OrderedDict
    )


def replay_trace(path: Path, footage: Footage, settings: Settings) -> Iterator[dict[str, Any]]:
    """A line for each decision, with `same` and what was recorded.

    Args:
        path: the trace; of one camera, which played `footage`.
        footage: the frames by number.
        settings: those of then.

    Raises:
        SettingsError: the trace cannot be read, or tells of what is not there.
        ModelError: the model cannot be used.
    """
    replay = _Replay(settings, footage, Decider(settings, 1))
    for call in _calls(path):
        try:
            line = _again(replay, call)
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"{path} does not fit: {error}", hint="replay the whole trace with its settings"
            ) from None
        if line is not None:
            yield line


def _calls(path: Path) -> Iterator[dict[str, Any]]:
    found = False
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                call = _call(line)
                if call is not None:
                    found = True
                    yield call
        if not found:
            raise ValueError("it holds no line of a trace")
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"{path} is no trace: {why}", hint="name the file of `log.trace`"
        ) from None


def _call(line: str) -> dict[str, Any] | None:
    """A line of a trace, or None where a power cut left the beginning of the last one."""
    try:
        call = json.loads(line)
    except ValueError:
        if line.endswith("\n"):
            raise
        return None
    if not isinstance(call, dict):
        raise ValueError(f"`{line[:60].strip()}` is no call")
    return call


def _again(replay: _Replay, call: dict[str, Any]) -> dict[str, Any] | None:
    decider = replay.decider
    match call["call"]:
        case "decide":
            return _decide(replay, call)
        case "restore":
            decider.restore([tuple(each) for each in call["made"]], call["now_ns"])
            return None
        case "spend":
            decider.spend(call["camera"], call["size_bytes"], call["now_ns"])
            return None
    frame, prediction, decision = replay.decided[call["camera"], call["seq"]]
    match call["call"]:
        case "admit":
            if decision.question is not None and call["value"] is not None:
                question = replace(decision.question, value=call["value"])
                decision = replace(decision, question=question)
            cause = decider.admit(frame, decision, call["now_ns"])
            return _compared(frame, decision, {"cause": cause}, {"cause": call["cause"]}, [])
        case "settle":
            decider.settle(frame, decision)
        case "give_up":
            decider.give_up(frame, decision)
        case "reconsider":
            asked = decider.reconsider(frame, prediction, decision, call["doubt"])
            if asked is not None:
                replay.decided[call["camera"], call["seq"]] = (frame, prediction, asked)
    return None


def _decide(replay: _Replay, call: dict[str, Any]) -> dict[str, Any]:
    camera, seq = call["camera"], call["seq"]
    if camera not in replay.runners:
        model = replay.settings.cameras[camera].model
        replay.runners[camera] = models_of(replay.settings, camera)[model].runner()
    frame = Frame(replay.footage.frame(seq), camera, seq, _BEGAN, call["captured_ns"])
    view = view_of_camera(replay.settings, camera)
    prediction = replay.runners[camera].infer(frame.image, view)
    decision = replay.decider.decide(frame, prediction)
    replay.decided[camera, seq] = (frame, prediction, decision)
    if len(replay.decided) > _REMEMBERED:
        replay.decided.popitem(last=False)
    known = replay.settings.cameras[camera]
    context = Context(known.expect_objects, replay.settings.models[known.model].floor)
    rules = explained(doubts(prediction, replay.settings.decision_of(camera), context))
    recorded = {key: call[key] for key in told(decision)}
    return _compared(frame, decision, told(decision), recorded, rules)


def _compared(
    frame: Frame,
    decision: Decision,
    now: dict[str, Any],
    recorded: dict[str, Any],
    rules: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "frame": frame.seq,
        **told(decision),
        **now,
        "rules": rules,
        "recorded": {**told(decision), **recorded},
        "same": alike([*now.values()], [recorded[key] for key in now]),
    }
