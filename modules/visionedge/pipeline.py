"""The way of a frame, on one screen: take, infer, decide, record, and set aside what is doubted.

Several workers run the same loop over one set of sessions, each frame in buffers of its own,
and one more worker turns doubtful frames into envelopes, because encoding a picture takes
as long as looking at it. Nothing in the frame loop waits for disk or network.

What the loop needs is one frozen `Wiring`. A change of settings builds a new one beside
the old and `rewire` swaps it by one assignment, between two frames of each worker; the
frame in flight is finished with what it began with.

What this does not promise: that every frame is looked at. The newest frame wins, and what
it replaced was counted by the feed.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from visionedge.busy import Busy
from visionedge.entities import (
    Action,
    Decision,
    Envelope,
    Frame,
    Prediction,
    Question,
    SecondOpinion,
    new_id,
)
from visionedge.errors import ModelRunError, RedactionError, SpoolError
from visionedge.escalation import control
from visionedge.escalation.decide import SECOND_LOOK, Decider
from visionedge.escalation.snapshot import Snapshots
from visionedge.escalation.views import Views
from visionedge.inference.model import Borrowed, LoadedModel
from visionedge.inference.rivals import Rivals, RunnerOf
from visionedge.inference.runner import Runner
from visionedge.inference.view import WHOLE, View
from visionedge.metrics import Metrics
from visionedge.runtime.clock import process_age_s
from visionedge.runtime.cores import leave_cores, take_short_turns
from visionedge.runtime.slot import LatestSlots
from visionedge.runtime.worker import Worker
from visionedge.second_look import Second, SecondLooks
from visionedge.tally import Tally
from visionedge.telemetry import Telemetry
from visionedge.uplink.spool import Spool

log: Final = logging.getLogger(__name__)
REQUESTED: Final = "requested"
"""Reason of an escalation that somebody asked for."""
_RECENT: Final = 50
_IDLE_S: Final = 0.5
"""How long a worker waits for a frame before it gives a sign of life."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything a frame meets, made whole from one revision of the settings."""

    revision: int
    models: Mapping[str, LoadedModel]
    """By camera."""
    decider: Decider
    snapshots: Snapshots
    trials: Mapping[str, Rivals] = field(default_factory=dict)
    """By camera, where a new bundle is on trial."""
    views: Mapping[str, View] = field(default_factory=dict)
    """By camera; one without is looked at whole."""
    seconds: Mapping[str, Second] = field(default_factory=dict)
    """By camera, where doubtful frames are looked at again."""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Height and width of the latest frame, by camera; the workers write it."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A doubtful frame on its way to the snapshot."""

    frame: Frame
    prediction: Prediction
    decision: Decision
    wiring: Wiring
    model: LoadedModel
    """Which looked: on trial, it need not be that of the wiring."""
    second: SecondOpinion | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An escalation that the spool took, for whoever wants to know the latest."""

    escalation_id: str
    camera_id: str
    reason: str
    score: float
    captured_at: datetime


class Pipeline:
    """The workers between the cameras' slots and the spool.

    Args:
        wiring: what to begin with.
        slots: where the feeds put frames.
        spool: where envelopes go.
        telemetry: told of every decision.
        metrics: counts and times.
        workers: number of frame loops.
        queue: doubtful frames that may wait for their snapshot.
    """

    def __init__(
        self,
        wiring: Wiring,
        slots: LatestSlots[Frame],
        spool: Spool,
        telemetry: Telemetry,
        metrics: Metrics,
        *,
        workers: int,
        queue: int,
    ) -> None:
        self._wiring = wiring
        self._former: list[Wiring] = []
        self._met: dict[int, Wiring] = {}
        self.busy = Busy()
        self._slots = slots
        slots.make_room(max(1, workers - 1))
        self._spool = spool
        self._telemetry = telemetry
        self._metrics = metrics
        self._tally = Tally(metrics)
        self._doubts: Views[Doubt] = Views(queue)
        self._requested: set[str] = set()
        # Taken by the worker that decides first, and never given back.
        self._first = threading.Lock()
        self.decided = threading.Event()
        """Set with the first decision."""
        self.recent: deque[Asked] = deque(maxlen=_RECENT)
        """The latest escalations that the spool took, oldest first."""

        def crashed(worker: Worker, _: Exception) -> None:
            metrics.worker_crashes.labels(worker.name).inc()

        self._loops = [
            Worker(f"frames-{n}", partial(self._loop, n), on_crash=crashed) for n in range(workers)
        ]
        self._encoder = Worker("snapshots", self._encode, on_crash=crashed)
        self._seconds: SecondLooks[Doubt] = SecondLooks(
            self._after_second, self._count_second, crashed
        )

    @property
    def workers(self) -> list[Worker]:
        """All threads of the pipeline, for the health check."""
        return [*self._loops, self._encoder, self._seconds.worker]

    @property
    def loops(self) -> int:
        """How many frame loops there are."""
        return len(self._loops)

    def start(self) -> None:
        """Begin to work on frames."""
        take_short_turns()
        for worker in self.workers:
            worker.start()

    def rewire(self, wiring: Wiring) -> None:
        """Use `wiring` from the next frame on; what was asked of a camera goes with it."""
        self._former.append(self._wiring)
        self._wiring = wiring
        self._requested.intersection_update(wiring.models)

    def let_go(self) -> None:
        """Forget wirings that no frame is in any more, and with them models: not on its thread."""
        met = [*self._met.values()]
        self._former = [each for each in self._former if any(each is other for other in met)]

    def request(self, camera_id: str) -> None:
        """Escalate the next frame of a camera, whatever is in it; twice before it is once."""
        self._requested.add(camera_id)

    def stop(self, timeout_s: float) -> None:
        """Finish the frames in flight, then the doubts that wait; what is late is counted."""
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)

        def left_s() -> float:
            return max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)

        self._slots.close()
        for worker in self._loops:
            worker.request_stop()
        for worker in self._loops:
            worker.stop(left_s())
        self._doubts.close()
        self._encoder.stop(left_s())
        # Half, so that what a busy machine is late with can still be kept.
        unseen = deque(self._seconds.stop(left_s() / 2))

        def keep(worker: Worker) -> None:
            while unseen and not worker.stopping:
                self._without_second(unseen.popleft())

        if unseen and left_s():
            # A thread, so that neither a crash nor a disk that hangs keeps the rest from ending.
            last = Worker("last-doubts", keep).start()
            last.join(left_s())
            last.request_stop()
        # What it has looked at it may still be keeping.
        self._seconds.worker.join(left_s())
        late = [doubt for doubt in unseen if doubt.decision.action is not Action.ACCEPT]
        while (doubt := self._doubts.take(0)) is not None:
            late.append(doubt)
        for doubt in late:
            self._metrics.escalations_dropped.labels(doubt.frame.camera_id, "stopped").inc()

    def _loop(self, rank: int, worker: Worker) -> None:
        while not worker.stopping:
            worker.beat()
            self._answer_next(rank)

    def _answer_next(self, rank: int) -> None:
        # A call of its own, so that no frame is held while the next one is waited for.
        frame = self._slots.take(_IDLE_S, rank)
        if frame is not None:
            self.answer_for(frame)

    def answer_for(self, frame: Frame) -> None:
        """Take one frame, of a camera in the wiring, all the way to its decision."""
        thread = threading.get_ident()
        self._met[thread] = self._wiring
        self.busy.met(len(self._met))
        try:
            with Borrowed() as runner_of:
                self._step(frame, self._met[thread], runner_of)
        finally:
            del self._met[thread]
            # Heard only where nothing was said: a crash must not leave anybody waiting.
            if frame.request is not None:
                frame.request.refused("failed", "the module failed on it; its log has more")

    def _step(self, frame: Frame, wiring: Wiring, runner_of: RunnerOf) -> None:
        model = wiring.models.get(frame.camera_id)
        if model is None:
            self._metrics.frames_dropped.labels(frame.camera_id, "stopped").inc()
            if frame.request is not None:
                frame.request.refused("stopped", "the camera was taken away")
            return
        trial = wiring.trials.get(frame.camera_id)
        if trial is not None and trial.stands_in(frame.seq):
            model = trial.candidate
        asked = model
        height, width = frame.image.shape[:2]
        wiring.sizes[frame.camera_id] = height, width
        view = wiring.views.get(frame.camera_id, WHOLE)
        model, prediction = self._infer(frame, view, model, trial, runner_of)
        if prediction is None:
            return
        decision = self._as_requested(frame, prediction, wiring.decider)
        latency_s = (time.monotonic_ns() - frame.captured_ns) / 1e9
        self._record(frame, prediction, decision, latency_s)
        if frame.request is not None:
            frame.request.decided(frame, prediction, decision, model.body)
        self._time(frame.camera_id, runner_of(model))
        if decision.question is not None:
            self._set_aside(Doubt(frame, prediction, decision, wiring, model), decision.question)
        if trial is not None and model is asked:

            def look(other: LoadedModel) -> Prediction:
                return runner_of(other).infer(frame.image, view)

            trial.answered(runner_of, look, model, prediction)

    def _infer(
        self,
        frame: Frame,
        view: View,
        model: LoadedModel,
        trial: Rivals | None,
        runner_of: RunnerOf,
    ) -> tuple[LoadedModel, Prediction | None]:
        """What a model sees; where one on trial fails, what the one before it sees."""
        try:
            return model, runner_of(model).infer(frame.image, view)
        except ModelRunError as error:
            log.error("%s, frame %d: %s", frame.camera_id, frame.seq, error)
            if trial is not None and model is trial.candidate:
                trial.failed()
                return self._infer(frame, view, trial.former, None, runner_of)
            self._metrics.frames_dropped.labels(frame.camera_id, "model_error").inc()
            if frame.request is not None:
                frame.request.refused("model_error", str(error))
            return model, None

    def _as_requested(self, frame: Frame, prediction: Prediction, decider: Decider) -> Decision:
        """The decision, or an escalation where somebody asked for this camera's next frame."""
        decision = decider.decide(frame, prediction)
        try:
            self._requested.remove(frame.camera_id)
        except KeyError:
            return decision
        if decision.action is Action.ESCALATE:
            # Nobody asks that any more: a later frame may.
            decider.give_up(frame, decision)
        question = Question(new_id(), REQUESTED, frozenset(), 1.0, 1.0, time.monotonic_ns())
        return replace(
            decision, action=Action.ESCALATE, reason=REQUESTED, score=1.0, question=question
        )

    def _record(
        self, frame: Frame, prediction: Prediction, decision: Decision, latency_s: float
    ) -> None:
        if self._first.acquire(blocking=False):
            log.info("first decision, %.2f s after the start of the process", process_age_s())
            self.decided.set()
        self._tally.decided(frame.camera_id, decision, latency_s)
        self._telemetry.record(frame, prediction, decision, latency_s)

    def _time(self, camera_id: str, runner: Runner) -> None:
        timings, took = runner.timings, self._tally.took
        took("preprocess", timings.preprocess_s)
        took("run", timings.run_s)
        took("decode", timings.decode_s)
        if timings.cascade_s:
            took("cascade", timings.cascade_s)
        if runner.skipped:
            self._metrics.boxes_skipped.labels(camera_id).inc(runner.skipped)

    def _set_aside(self, doubt: Doubt, question: Question) -> None:
        if doubt.decision.action is Action.ACCEPT:
            # A confident frame that is to be looked at again; worth least where others wait.
            for unseen in self._look_again(doubt):
                self._without_second(unseen)
            return
        if doubt.decision.action is not Action.ESCALATE:
            self._doubts.improve(question, doubt)
            return
        dropped = self._doubts.open(question, doubt)
        if dropped is not None:
            dropped.wiring.decider.give_up(dropped.frame, dropped.decision)
            self._metrics.escalations_dropped.labels(dropped.frame.camera_id, "queue").inc()

    def _encode(self, worker: Worker) -> None:
        leave_cores()
        while not worker.stopping or len(self._doubts):
            worker.beat()
            self._encode_next()

    def _encode_next(self) -> None:
        doubt = self._doubts.take(_IDLE_S)
        for unseen in [] if doubt is None else self._look_again(doubt):
            self._without_second(unseen)

    def _look_again(self, doubt: Doubt) -> list[Doubt]:
        """Let a doubt wait for its second look; returns those that have none, or have to go."""
        decision, second = doubt.decision, doubt.wiring.seconds.get(doubt.frame.camera_id)
        # What was asked for from outside, and the control sample, is sent whatever is in it.
        question = decision.question
        if second is None or question is None or question.reason in (REQUESTED, control.REASON):
            return [doubt]
        return self._seconds.offer(doubt, doubt.frame, doubt.prediction, second, question.value)

    def _after_second(self, doubt: Doubt, opinion: SecondOpinion | None) -> None:
        """On the thread of second looks: keep a doubt, or let go of one that was settled."""
        frame, decision, decider = doubt.frame, doubt.decision, doubt.wiring.decider
        if opinion is None:
            self._without_second(doubt)
            return
        second = doubt.wiring.seconds[frame.camera_id]
        if decision.action is Action.ACCEPT:
            left = second.doubt_left(doubt.prediction, opinion)
            asked = (
                None
                if opinion.agrees
                else decider.reconsider(frame, doubt.prediction, decision, left)
            )
            if asked is not None:
                self._keep(replace(doubt, decision=asked, second=opinion))
            return
        judged, settled = second.judge(decision, doubt.prediction, opinion)
        if settled:
            decider.settle(frame, judged)
            self._metrics.escalations_dropped.labels(frame.camera_id, SECOND_LOOK).inc()
            return
        self._keep(replace(doubt, decision=judged, second=opinion))

    def _without_second(self, doubt: Doubt) -> None:
        """Go on with the first word, which for a confident frame is that there is no doubt."""
        if doubt.decision.action is not Action.ACCEPT:
            self._keep(doubt)

    def _count_second(self, camera_id: str, result: str) -> None:
        self.busy.second = True
        self._metrics.second_looks.labels(camera_id, result).inc()
        self._telemetry.second_look(camera_id, result)

    def _keep(self, doubt: Doubt) -> None:
        camera, decider = doubt.frame.camera_id, doubt.wiring.decider
        asked = doubt.decision.reason == REQUESTED
        if not asked and (cause := decider.admit(doubt.frame, doubt.decision, time.monotonic_ns())):
            self._metrics.escalations_dropped.labels(camera, cause).inc()
            return
        cause = "snapshot"
        try:
            began = time.perf_counter()
            envelope, note = self._snapshot(doubt)
            self._metrics.stage.labels("snapshot").observe(time.perf_counter() - began)
            decider.spend(camera, envelope.size_bytes, time.monotonic_ns())
            cause = "spool"
            began = time.perf_counter()
            self._spool.put(envelope, note)
            self._metrics.stage.labels("spool").observe(time.perf_counter() - began)
            cause = ""
            self.recent.append(
                Asked(
                    envelope.id,
                    camera,
                    doubt.decision.reason,
                    doubt.decision.score,
                    doubt.frame.captured_at,
                )
            )
        except RedactionError as error:
            cause = "redaction"
            log.error("escalation of %s, frame %d is not sent: %s", camera, doubt.frame.seq, error)
        except SpoolError as error:
            log.error("escalation of %s, frame %d lost: %s", camera, doubt.frame.seq, error)
        finally:
            # Also where the snapshot raised what nobody foresaw: the worker logs that.
            if cause:
                self._metrics.escalations_dropped.labels(camera, cause).inc()

    def _snapshot(self, doubt: Doubt) -> tuple[Envelope, Mapping[str, object]]:
        return doubt.wiring.snapshots.make(
            doubt.frame, doubt.prediction, doubt.decision, doubt.model.body, doubt.second
        )
