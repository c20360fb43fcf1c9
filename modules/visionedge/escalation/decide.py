"""The decision on each frame: accept, escalate, or suppress, with its reason.

It is made on the hot path, by every worker, and knows nothing of link, spool or cloud: a
frame is worth asking about whether or not somebody can answer now. A `Decider` is built
whole from one revision of the settings and replaced whole. The one thing that outlives it,
when each camera last escalated, is a `Pace` that is handed from the old one to the new, so
that a stream of twin patches cannot open the gate for a flood.
"""

import threading
from typing import Final

from visionedge.entities import Action, Decision, Frame, Prediction
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.rules import RULES
from visionedge.settings import Settings

CONFIDENT: Final = "confident"
DISABLED: Final = "disabled"
TOO_SOON: Final = "too_soon"


class Pace:
    """When each camera last escalated, by the time of capture. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ns: dict[str, int] = {}

    def admit(self, camera_id: str, captured_ns: int, min_interval_ns: int) -> bool:
        """True, and remembered, if the frame is far enough from the last one admitted.

        Workers finish frames out of order, so the distance counts in both directions.
        """
        with self._lock:
            last_ns = self._last_ns.get(camera_id)
            if last_ns is not None and abs(captured_ns - last_ns) < min_interval_ns:
                return False
            self._last_ns[camera_id] = max(captured_ns, last_ns or captured_ns)
            return True


class Decider:
    """Decides by one revision of the settings. Safe for many threads.

    Args:
        settings: `decision`, `escalation`, and what cameras and models say of doubt.
        revision: of the settings; stands in every decision.
        pace: of the decider that this one replaces; None at the start.
    """

    def __init__(self, settings: Settings, revision: int, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._revision = revision
        self._enabled = settings.escalation.enabled
        self._min_interval_ns = round(settings.escalation.min_interval_s * 1e9)
        self._rules = tuple(make(settings.decision) for make in RULES.values())
        self._contexts = {
            name: Context(camera.expect_objects, settings.models[camera.model].floor)
            for name, camera in settings.cameras.items()
        }

    def decide(self, frame: Frame, prediction: Prediction) -> Decision:
        """Decide on one frame.

        Returns:
            ACCEPT with score 0; ESCALATE with the reason and score of the strongest doubt; or
            SUPPRESS with that score, and `too_soon` or `disabled` as its reason.
        """
        doubt = self._strongest(frame, prediction)
        if doubt is None:
            return Decision(Action.ACCEPT, CONFIDENT, 0.0, self._revision)
        if not self._enabled:
            return Decision(Action.SUPPRESS, DISABLED, doubt.score, self._revision)
        if not self.pace.admit(frame.camera_id, frame.captured_ns, self._min_interval_ns):
            return Decision(Action.SUPPRESS, TOO_SOON, doubt.score, self._revision)
        return Decision(Action.ESCALATE, doubt.reason, doubt.score, self._revision)

    def _strongest(self, frame: Frame, prediction: Prediction) -> Doubt | None:
        # A frame of a camera that was just removed may still be on its way.
        context = self._contexts.get(frame.camera_id) or Context()
        strongest: Doubt | None = None
        for rule in self._rules:
            doubt = rule.judge(prediction, context)
            if doubt is not None and (strongest is None or doubt.score > strongest.score):
                strongest = doubt
        return strongest
