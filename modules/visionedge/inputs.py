"""Frames that other modules send to the input `frames`, and their answers on `predictions`.

A message is handed to the camera of kind `input` that its property `camera` names, or to the
only one there is; from there it goes the way of every frame, with decision and escalation.
Each message gets one answer, a prediction or an error with a code, under its correlation
id: whoever asks must not have to guess why nothing comes.

Answers are not spooled. Their asker is on the same device and waits for seconds, not for
days; so an answer is sent once, the newest are kept where the hub is slow, and what was not
delivered is counted. Who got no answer sends the frame again.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

import numpy as np

from visionedge.cameras.feeds import Feed
from visionedge.cameras.input_feed import InputFeed
from visionedge.entities import (
    Decision,
    Envelope,
    Frame,
    Kind,
    ModelTag,
    Prediction,
    new_id,
)
from visionedge.errors import UplinkError
from visionedge.escalation.claims import make_claims
from visionedge.metrics import Metrics
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.worker import Worker
from visionedge.uplink.hub import InputMessage
from visionedge.wire import DecisionBody, FrameBody, FramePrediction, ModelBody, RefusedBody

log: Final = logging.getLogger(__name__)
INPUT: Final = "frames"
_MAX_ANSWERS: Final = 64
_TTL: Final = timedelta(minutes=1)
_POLL_S: Final = 1.0
_STUCK_AFTER_S: Final = 400.0
"""More than the longest send timeout."""
_ID_CHARS: Final = 128
_NAME_CHARS: Final = 64
_REASON_CHARS: Final = 1024
OK: Final = "ok"
Feeds = Callable[[], Mapping[str, Feed]]


class Inputs:
    """Takes messages and sends their answers.

    Args:
        feeds: the cameras that there are now.
        send: the hub's; waits for its acknowledgement.
        metrics: answers are counted by what they say.
        clock: stamps the answers.
    """

    def __init__(
        self,
        feeds: Feeds,
        send: Callable[[Envelope], None],
        metrics: Metrics,
        clock: Clock | None = None,
    ) -> None:
        self._feeds = feeds
        self._send = send
        self._metrics = metrics
        self.clock: Final = clock or SystemClock()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._answers: deque[Envelope] = deque()
        self._failing = False
        self.worker = Worker(
            "predictions",
            self._run,
            stuck_after_s=_STUCK_AFTER_S,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    def take(self, message: InputMessage) -> None:
        """Hand a message to its camera, or refuse it; never waits. For the SDK's threads."""
        if message.input != INPUT:
            log.warning("a message on the input %s, which is none of ours", message.input[:64])
            return
        there = {n: feed for n, feed in self._feeds().items() if isinstance(feed, InputFeed)}
        named = message.properties.get("camera", "")
        name = named or (next(iter(there)) if len(there) == 1 else "")
        request = _Request(self, message, name if name in there else "")
        if feed := there.get(name):
            feed.offer(message.body, request)
            return
        known = ", ".join(sorted(there)) or "none"
        what = f"no camera `{named[:_NAME_CHARS]}`" if named else "no property `camera`"
        request.refused("no_camera", f"{what}; cameras of kind `input`: {known}")

    def answer(self, message: FramePrediction, correlation_id: str) -> None:
        """Send an answer soon; never waits."""
        result = message.error.code if message.error else OK
        self._metrics.input_answers.labels(message.camera, result).inc()
        envelope = Envelope(
            id=message.id,
            kind=Kind.PREDICTIONS,
            value=0.0,
            created_at=message.at,
            expires_at=message.at + _TTL,
            body=message.encode(),
            properties={
                "schema": message.schema_name,
                "camera": message.camera,
                "result": result,
            },
            correlation_id=correlation_id,
        )
        with self._lock:
            self._answers.append(envelope)
            crowded = len(self._answers) > _MAX_ANSWERS
            if crowded:
                self._answers.popleft()
        if crowded:
            self._metrics.sent.labels(Kind.PREDICTIONS, "unavailable").inc()
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Send what is answered already, and end."""
        self.worker.request_stop()
        self._wake.set()
        self.worker.stop(timeout_s)

    def _run(self, worker: Worker) -> None:
        while True:
            worker.beat()
            self._wake.clear()
            envelope = self._next()
            if envelope is not None:
                self._deliver(envelope)
            elif worker.stopping:
                return
            else:
                self._wake.wait(_POLL_S)

    def _next(self) -> Envelope | None:
        with self._lock:
            return self._answers.popleft() if self._answers else None

    def _deliver(self, envelope: Envelope) -> None:
        try:
            self._send(envelope)
        except UplinkError as error:
            self._metrics.sent.labels(Kind.PREDICTIONS, "unavailable").inc()
            if not self._failing:
                log.warning("predictions cannot be sent and are dropped: %s", error)
            self._failing = True
            return
        self._metrics.sent.labels(Kind.PREDICTIONS, "ok").inc()
        self._metrics.sent_bytes.labels(Kind.PREDICTIONS).inc(envelope.size_bytes)
        if self._failing:
            log.info("predictions are being sent again")
        self._failing = False


class _Request:
    """A `FrameRequest`: whoever sent one message."""

    def __init__(self, inputs: Inputs, message: InputMessage, camera_id: str) -> None:
        self._inputs = inputs
        self._camera_id = camera_id
        # A longer one is not ours to repeat; the hub's own are below it.
        self._request_id = _echoed(message.message_id)
        self._correlation_id = _echoed(message.correlation_id) or self._request_id
        self._open = threading.Lock()

    def decided(
        self, frame: Frame, prediction: Prediction, decision: Decision, model: ModelTag
    ) -> None:
        """As `FrameRequest.decided`."""
        if not self._first():
            return
        whole = (0, 0, frame.width, frame.height)
        taken = np.zeros(len(prediction), np.float32)
        message = self._message().model_copy(
            update={
                "frame": FrameBody(
                    seq=frame.seq,
                    captured_at=frame.captured_at,
                    width=frame.width,
                    height=frame.height,
                ),
                "model": ModelBody.model_validate(model, from_attributes=True),
                "decision": DecisionBody(
                    action=decision.action.value,
                    reason=decision.reason,
                    score=decision.score,
                    provisional=decision.provisional.value if decision.provisional else None,
                    settings_revision=decision.settings_revision,
                ),
                "prediction": make_claims(prediction, taken, 0.0, whole).body,
            }
        )
        self._inputs.answer(message, self._correlation_id)

    def refused(self, code: str, reason: str) -> None:
        """As `FrameRequest.refused`."""
        if self._first():
            error = RefusedBody(code=code, reason=reason[:_REASON_CHARS])
            message = self._message().model_copy(update={"error": error})
            self._inputs.answer(message, self._correlation_id)

    def _first(self) -> bool:
        """True for the first word; a lock that is taken once and never given back."""
        return self._open.acquire(blocking=False)

    def _message(self) -> FramePrediction:
        return FramePrediction(
            id=new_id(),
            request_id=self._request_id,
            at=self._inputs.clock.utc(),
            camera=self._camera_id,
        )


def _echoed(id_: str) -> str:
    return id_ if len(id_) <= _ID_CHARS and id_.isprintable() else ""
