"""Direct methods: what the cloud can ask of the module, each by its name.

All are idempotent, because IoT Hub may call twice, and answer always: 200 with a small
JSON object, 400 with each bad field named, 404 for a method that does not exist, 503 where
the same call may work later.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from visionedge.entities import Outcome
from visionedge.errors import SpoolUnavailable
from visionedge.escalation.resolution import resolve
from visionedge.telemetry import Telemetry
from visionedge.uplink.hub import MethodAnswer
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import Settled
from visionedge.wire import InvalidMessage, Verdict, Verdicts

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
        status: what `status` answers.
    """

    def __init__(
        self, spool: Spool, telemetry: Telemetry, status: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._spool = spool
        self._telemetry = telemetry
        self._status = status
        self._methods: Final[dict[str, Callable[[Any], MethodAnswer]]] = {
            "applyVerdict": self._apply_verdict,
            "status": lambda _: MethodAnswer(200, self._status()),
        }

    def call(self, name: str, payload: Any) -> MethodAnswer:  # noqa: ANN401 - JSON from outside
        """Answer one call."""
        method = self._methods.get(name)
        if method is None:
            known = ", ".join(sorted(self._methods))
            return MethodAnswer(404, {"error": f"no method `{name[:64]}`; there are: {known}"})
        try:
            return method(payload)
        except InvalidMessage as error:
            return MethodAnswer(400, {"error": "payload refused", "fields": error.fields})
        except SpoolUnavailable as error:
            return MethodAnswer(503, {"error": str(error)})

    def _apply_verdict(self, payload: Any) -> MethodAnswer:  # noqa: ANN401 - JSON from outside
        verdicts = Verdicts.read(payload).verdicts
        return MethodAnswer(200, {"results": [self._settle(verdict) for verdict in verdicts]})

    def _settle(self, verdict: Verdict) -> dict[str, str]:
        id_ = verdict.escalation_id
        waiting = self._spool.find(id_)
        if waiting is None:
            settled = Settled.DUPLICATE if self._spool.was_settled(id_) else Settled.UNKNOWN
            return {"escalation_id": id_, "status": _WORDS[settled]}
        resolution = resolve(waiting.note, verdict)
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
