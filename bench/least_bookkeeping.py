"""The least that a frame needs beside its model: the floor of the bookkeeping.

What a program writes that has no more to say of a frame than that it was looked at: one threshold
on the confidences, the counters and histograms that the module touches for it, and one put into a
queue. No object is followed and no rule is asked, so it doubts anew in every frame what it doubted
in the last; nothing is typed, and no window of telemetry is kept.

It comes in three kinds. One writes a line of JSON with camera, time and boxes where the frame was
looked at, as most programs do; the others leave that to whoever takes from the queue, as the
module does. And one decides as the module does, by the least that can (`least_decision`).

What this does not promise: that the queue is ever emptied. Whoever measures throws it away.
"""

import json
import time
from queue import SimpleQueue
from typing import Final

from bench.least_decision import LeastDecision
from visionedge.entities import Detections, Frame, Prediction
from visionedge.inference.runner import Timings
from visionedge.metrics import Metrics

_DOUBTED: Final = 0.5
"""Below it a confidence is low."""


class LeastBookkeeping:
    """One camera's; called once a frame.

    Args:
        metrics: whose series are touched: two counters and four histograms, as by the module.
        camera_id: of all frames.
        as_json: whether what is put is a line of JSON, or the prediction as it is.
        decision: what decides on boxes; None is one threshold.

    Attributes:
        queue: what was put, oldest first.
    """

    def __init__(
        self,
        metrics: Metrics,
        camera_id: str,
        *,
        as_json: bool = False,
        decision: LeastDecision | None = None,
    ) -> None:
        self.queue: Final[SimpleQueue[str | tuple[bool, Prediction]]] = SimpleQueue()
        self._camera_id = camera_id
        self._as_json = as_json
        self._decision = decision
        self._processed = metrics.frames_processed.labels(camera_id)
        self._latency = metrics.capture_to_decision.labels(camera_id)
        self._accepted = metrics.decisions.labels(camera_id, "accept", "")
        self._doubted = metrics.decisions.labels(camera_id, "escalate", "threshold")
        self._preprocess = metrics.stage.labels("preprocess")
        self._run = metrics.stage.labels("run")
        self._decode = metrics.stage.labels("decode")

    def __call__(self, frame: Frame, prediction: Prediction, timings: Timings) -> None:
        """Decide, count, and put."""
        if self._decision is not None and isinstance(prediction, Detections):
            is_doubted = self._decision(frame, prediction).reason != ""
        else:
            is_doubted = _is_doubted(prediction)
        self._processed.inc()
        self._latency.observe((time.monotonic_ns() - frame.captured_ns) / 1e9)
        (self._doubted if is_doubted else self._accepted).inc()
        self._preprocess.observe(timings.preprocess_s)
        self._run.observe(timings.run_s)
        self._decode.observe(timings.decode_s)
        if self._as_json:
            self.queue.put(_line(self._camera_id, is_doubted, prediction))
        else:
            self.queue.put((is_doubted, prediction))


def _is_doubted(prediction: Prediction) -> bool:
    """Whether the least sure box is not sure, or the best class."""
    confidence = prediction.confidence
    if not len(confidence):
        return False
    is_boxes = isinstance(prediction, Detections)
    return bool((confidence.min() if is_boxes else confidence.max()) < _DOUBTED)


def _line(camera_id: str, is_doubted: bool, prediction: Prediction) -> str:
    confidence = prediction.confidence
    if isinstance(prediction, Detections):
        class_id, xyxy = prediction.class_id.tolist(), prediction.xyxy.tolist()
        found = [*zip(class_id, confidence.tolist(), xyxy, strict=True)]
    else:
        best = int(confidence.argmax())
        found = [(best, float(confidence[best]), [])]
    told = {"camera": camera_id, "at": time.time(), "doubted": is_doubted, "found": found}
    return json.dumps(told)
