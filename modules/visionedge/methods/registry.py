"""Direct methods: one table of name, payload, what it does, and how.

All are idempotent, because IoT Hub may call twice, and answer always: 200 with a small
JSON object, 400 with each bad field named, 404 for a method or a thing that does not exist,
503 where the same call may work later. docs/reference/methods.md is made from the table.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from visionedge.entities import Outcome, Resolution
from visionedge.errors import SpoolUnavailable
from visionedge.escalation.resolution import by_operator, resolve
from visionedge.methods.payloads import (
    Limit,
    Nothing,
    OneCamera,
    OneEscalation,
    OneModel,
    OperatorWord,
    Patch,
    SomeCameras,
    payload_of,
)
from visionedge.methods.seams import Operated
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.settings import Document
from visionedge.telemetry import Telemetry
from visionedge.twin import DesiredState, Refused, dry_run
from visionedge.uplink.archive import Archive
from visionedge.uplink.hub import MethodAnswer
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import Settled
from visionedge.wire import InvalidMessage, Message, Verdict, Verdicts

log: Final = logging.getLogger(__name__)
_WORDS: Final = {
    Settled.FIRST: "merged",
    Settled.DUPLICATE: "duplicate",
    Settled.UNKNOWN: "unknown",
}


class Methods:
    """Answers direct methods. For the control thread.

    Args:
        spool: where escalations wait for their verdicts.
        telemetry: told of each resolution.
        operated: does what an operator asks.
        layers: sources of settings below the twin.
        desired: the twin, to try a change of.
        flush: makes the sender try at once.
        archive: keeps what is settled, where that is wanted.
        clock: stamps the word of a person.
    """

    def __init__(
        self,
        spool: Spool,
        telemetry: Telemetry,
        operated: Operated,
        layers: list[Document],
        desired: DesiredState,
        flush: Callable[[], None],
        archive: Archive,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._archive = archive
        self._spool = spool
        self._telemetry = telemetry
        self._operated = operated
        self._layers = layers
        self._desired = desired
        self._flush = flush

    def call(self, name: str, payload: Any) -> MethodAnswer:  # noqa: ANN401 - JSON from outside
        """Answer one call."""
        method = METHODS.get(name)
        if method is None:
            known = ", ".join(sorted(METHODS))
            return MethodAnswer(404, {"error": f"no method `{name[:64]}`; there are: {known}"})
        try:
            return method.answer(self, payload_of(method.payload, payload))
        except InvalidMessage as error:
            return MethodAnswer(400, {"error": "payload refused", "fields": error.fields})
        except SpoolUnavailable as error:
            return MethodAnswer(503, {"error": str(error)})

    def status(self, _: Nothing) -> MethodAnswer:
        """How the module is."""
        return MethodAnswer(200, self._operated.status())

    def diagnostics(self, _: Nothing) -> MethodAnswer:
        """All that helps to understand it from afar."""
        return MethodAnswer(200, self._operated.diagnostics())

    def apply_verdict(self, asked: Verdicts) -> MethodAnswer:
        """Settle escalations by verdicts."""
        return MethodAnswer(200, {"results": [self._settle(verdict) for verdict in asked.verdicts]})

    def operator_verdict(self, asked: OperatorWord) -> MethodAnswer:
        """Settle an escalation by the word of a person."""
        id_ = asked.escalation_id
        waiting = self._spool.find(id_)
        if waiting is None:
            return MethodAnswer(200, self._not_waiting(id_))
        word = Outcome(asked.word)
        resolution = by_operator(id_, waiting.note, word, asked.label, asked.by, self._clock.utc())
        return MethodAnswer(200, self._end(resolution))

    def verdict_query(self, asked: OneEscalation) -> MethodAnswer:
        """What became of an escalation."""
        return MethodAnswer(200, self._state_of(asked.escalation_id))

    def recent_escalations(self, asked: Limit) -> MethodAnswer:
        """The latest escalations of this process."""
        found = [
            {
                **self._state_of(each.escalation_id),
                "camera": each.camera_id,
                "reason": each.reason,
                "score": round(each.score, 4),
                "captured_at": each.captured_at.isoformat(),
            }
            for each in self._operated.recent()[: asked.limit]
        ]
        return MethodAnswer(200, {"escalations": found})

    def flush(self, _: Nothing) -> MethodAnswer:
        """Send what waits at once."""
        self._flush()
        waiting = {kind: lying.messages for kind, lying in self._spool.backlog().items()}
        return MethodAnswer(200, {"waiting": waiting})

    def capture_now(self, asked: SomeCameras) -> MethodAnswer:
        """Escalate the next frame."""
        there = self._operated.settings.cameras
        if asked.camera is not None and asked.camera not in there:
            return _no_camera(asked.camera, there)
        cameras = sorted(there) if asked.camera is None else [asked.camera]
        for camera in cameras:
            self._operated.capture(camera)
        return MethodAnswer(200, {"requested": cameras})

    def pause_camera(self, asked: OneCamera) -> MethodAnswer:
        """Let go of a camera."""
        if asked.camera not in self._operated.settings.cameras:
            return _no_camera(asked.camera, self._operated.settings.cameras)
        self._operated.pause(asked.camera)
        return MethodAnswer(200, {"camera": asked.camera, "paused": True})

    def resume_camera(self, asked: OneCamera) -> MethodAnswer:
        """Open it again."""
        if asked.camera not in self._operated.settings.cameras:
            return _no_camera(asked.camera, self._operated.settings.cameras)
        self._operated.resume(asked.camera)
        return MethodAnswer(200, {"camera": asked.camera, "paused": False})

    def validate_config(self, asked: Patch) -> MethodAnswer:
        """Try a change of the twin."""
        answer = dry_run(
            self._layers, self._desired, asked.patch, self._operated.settings, whole=asked.replace
        )
        if isinstance(answer, Refused):
            return MethodAnswer(200, {"valid": False, "fields": answer.told()})
        return MethodAnswer(200, {"valid": True, "changes": sorted(answer.changed)})

    def swap_model(self, asked: OneModel) -> MethodAnswer:
        """Try a model's desired bundle again."""
        if asked.model not in self._operated.settings.models:
            return MethodAnswer(404, {"error": f"there is no model `{asked.model}`"})
        told = self._operated.swap_model(asked.model)
        return MethodAnswer(200, {"model": asked.model, "state": told})

    def roll_back(self, asked: OneModel) -> MethodAnswer:
        """Put the bundle before into use."""
        if asked.model not in self._operated.settings.models:
            return MethodAnswer(404, {"error": f"there is no model `{asked.model}`"})
        told = self._operated.roll_back_model(asked.model)
        if not told:
            return MethodAnswer(404, {"error": f"`{asked.model}` has no bundle to go back to"})
        return MethodAnswer(200, {"model": asked.model, "state": told})

    def _state_of(self, id_: str) -> dict[str, Any]:
        waiting = self._spool.find(id_)
        if waiting is not None:
            state = "sent" if waiting.attempts else "waiting"
            return {
                "escalation_id": id_,
                "state": state,
                "age_s": round(waiting.age_s, 1),
                "attempts": waiting.attempts,
            }
        settled = self._spool.was_settled(id_)
        return {"escalation_id": id_, "state": "settled" if settled else "unknown"}

    def _settle(self, verdict: Verdict) -> dict[str, str]:
        id_ = verdict.escalation_id
        waiting = self._spool.find(id_)
        if waiting is None:
            return self._not_waiting(id_)
        resolution = resolve(waiting.note, verdict)
        if self._archive.is_wanted and verdict.status == "verified":
            body = self._spool.body(id_)
            if body is not None:
                self._archive.keep(body, verdict, resolution.outcome)
        return self._end(resolution)

    def _not_waiting(self, id_: str) -> dict[str, str]:
        settled = Settled.DUPLICATE if self._spool.was_settled(id_) else Settled.UNKNOWN
        return {"escalation_id": id_, "status": _WORDS[settled]}

    def _end(self, resolution: Resolution) -> dict[str, str]:
        """Settle, once, by whomever."""
        id_ = resolution.escalation_id
        settled = self._spool.settle(resolution)
        if settled is Settled.FIRST:
            self._telemetry.resolved(resolution.outcome)
            verb = "given up" if resolution.outcome is Outcome.EXPIRED else resolution.outcome
            log.info("escalation %s is %s by %s", id_, verb, resolution.verifier)
        return {
            "escalation_id": id_,
            "status": _WORDS[settled],
            "outcome": resolution.outcome,
        }


def _no_camera(name: str, there: Mapping[str, object]) -> MethodAnswer:
    known = ", ".join(sorted(there))
    return MethodAnswer(404, {"error": f"there is no camera `{name}`; there are: {known}"})


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Attributes:
        payload: what it takes.
        answer: does it.
        meaning: what it is for; a line of the reference.
        returns: the fields of its answer; another line.
    """

    payload: type[Message]
    answer: Callable[[Methods, Any], MethodAnswer]
    meaning: str
    returns: str


METHODS: Final[Mapping[str, Method]] = {
    "applyVerdict": Method(
        Verdicts,
        Methods.apply_verdict,
        "Settles escalations by the verdicts of a verifier, each once.",
        "`results`: for each its `escalation_id`, `status` (merged, duplicate, unknown) and "
        "`outcome`",
    ),
    "captureNow": Method(
        SomeCameras,
        Methods.capture_now,
        "Escalates the next frame of a camera, whatever is in it, with reason `requested`; "
        "outside the budget.",
        "`requested`: the cameras",
    ),
    "diagnostics": Method(
        Nothing,
        Methods.diagnostics,
        "What somebody far away needs: status, versions, settings, counters, threads. "
        "Passwords are hidden.",
        "one object, below 64 KiB",
    ),
    "flush": Method(
        Nothing,
        Methods.flush,
        "Sends what waits at once, where a pause after failures would make it wait.",
        "`waiting`: messages by kind",
    ),
    "operatorVerdict": Method(
        OperatorWord,
        Methods.operator_verdict,
        "Settles an escalation by the word of a person who has seen the part, once; whoever "
        "comes later, person or cloud, is a duplicate.",
        "`escalation_id`, `status` (merged, duplicate, unknown) and `outcome`",
    ),
    "pauseCamera": Method(
        OneCamera,
        Methods.pause_camera,
        "Lets go of a camera until `resumeCamera`, over changes of its settings and restarts of "
        "the module; the reported `camera.states` shows it.",
        "`camera`, `paused`",
    ),
    "recentEscalations": Method(
        Limit,
        Methods.recent_escalations,
        "The latest escalations since the start, newest first.",
        "`escalations`: for each what `verdictQuery` answers, `camera`, `reason`, `score`, "
        "`captured_at`",
    ),
    "resumeCamera": Method(
        OneCamera, Methods.resume_camera, "Opens a paused camera again.", "`camera`, `paused`"
    ),
    "rollback": Method(
        OneModel,
        Methods.roll_back,
        "Puts the bundle before into use at once, and refuses the one that is left until the "
        "twin names another, or `swapModel` is called.",
        "`model`, `state`",
    ),
    "status": Method(
        Nothing, Methods.status, "How the module is; the same as /healthz.", "one object"
    ),
    "swapModel": Method(
        OneModel,
        Methods.swap_model,
        "Tries the desired bundle of a model again that was refused or rolled back.",
        "`model`, `state`",
    ),
    "validateConfig": Method(
        Patch,
        Methods.validate_config,
        "Tries a change of the desired properties without making it. Models are not loaded and "
        "secrets are not looked up.",
        "`valid`; `changes`, the sections that would change, or `fields`, why each is refused",
    ),
    "verdictQuery": Method(
        OneEscalation,
        Methods.verdict_query,
        "What became of an escalation.",
        "`state` (waiting, sent, settled, unknown), `age_s`, `attempts`",
    ),
}
"""Every method by its name."""
