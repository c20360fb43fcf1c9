"""The least that a frame needs beside its model: the floor of the bookkeeping.

What a program writes that has no more to say of a frame than that it was looked at: one threshold
on the confidences, the counters and histograms that the module touches for it, and one put into a
queue. No object is followed and no rule is asked, so it doubts anew in every frame what it doubted
in the last; nothing is typed, and no window of telemetry is kept.

It comes in three kinds. One writes a line of JSON with camera, time and boxes where the frame was
looked at, as most programs do; the others leave that to whoever takes from the queue, as the
module does. And one asks once about each object: it knows the boxes of the last two seconds by
their places, without a speed, a class or a vote, and doubts what it did not know, by one threshold.

What this does not promise: that the queue is ever emptied. Whoever measures throws it away.
"""

import json
import math
import time
from queue import SimpleQueue
from typing import Final

import numpy as np

from visionedge.entities import Detections, Frame, Prediction
from visionedge.inference.runner import Timings
from visionedge.metrics import Metrics

_DOUBTED: Final = 0.5
"""Below it a confidence is low."""
_FORGET_NS: Final = 2_000_000_000
_TIDY_NS: Final = 250_000_000
"""As the module forgets objects, and lets them go together."""


class LeastBookkeeping:
    """One camera's; called once a frame.

    Args:
        metrics: whose series are touched: two counters and four histograms, as by the module.
        camera_id: of all frames.
        as_json: whether what is put is a line of JSON, or the prediction as it is.
        follows: whether an object is doubted once, or in each frame anew.

    Attributes:
        queue: what was put, oldest first.
    """

    def __init__(
        self, metrics: Metrics, camera_id: str, *, as_json: bool = False, follows: bool = False
    ) -> None:
        self.queue: Final[SimpleQueue[str | tuple[bool, Prediction]]] = SimpleQueue()
        self._camera_id = camera_id
        self._as_json = as_json
        self._objects = LeastFollowing() if follows else None
        self._processed = metrics.frames_processed.labels(camera_id)
        self._latency = metrics.capture_to_decision.labels(camera_id)
        self._accepted = metrics.decisions.labels(camera_id, "accept", "")
        self._doubted = metrics.decisions.labels(camera_id, "escalate", "threshold")
        self._preprocess = metrics.stage.labels("preprocess")
        self._run = metrics.stage.labels("run")
        self._decode = metrics.stage.labels("decode")

    def __call__(self, frame: Frame, prediction: Prediction, timings: Timings) -> None:
        """Decide, count, and put."""
        if self._objects is not None and isinstance(prediction, Detections):
            is_doubted = self._objects.is_new_doubt(prediction, frame.captured_ns)
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


class LeastFollowing:
    """The places of the boxes of the last two seconds, and which of them were doubted."""

    def __init__(self) -> None:
        self._places = np.empty(0, np.complex128)
        self._seen_ns: list[int] = []
        self._asked: list[bool] = []
        self._tidy_ns = 0

    def is_new_doubt(self, found: Detections, now_ns: int) -> bool:
        """Whether a box is doubted that was not doubted before."""
        if now_ns >= self._tidy_ns:
            self._tidy(now_ns)
        boxes = found.xyxy.tolist()
        centres = [complex((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes]
        nearest = self._nearest(centres) if boxes and self._asked else [(0, math.inf)] * len(boxes)
        begun: list[complex] = []
        is_new = False
        for (x1, _, x2, _), sure, centre, (j, apart) in zip(
            boxes, found.confidence.tolist(), centres, nearest, strict=True
        ):
            if apart > x2 - x1:
                j = len(self._asked)
                begun.append(centre)
                self._asked.append(False)
                self._seen_ns.append(now_ns)
            else:
                self._places[j], self._seen_ns[j] = centre, now_ns
            if sure < _DOUBTED and not self._asked[j]:
                self._asked[j] = is_new = True
        if begun:
            self._places = np.append(self._places, begun)
        return is_new

    def _nearest(self, centres: list[complex]) -> list[tuple[int, float]]:
        """Of each centre the nearest known place, and how far it is."""
        apart = np.abs(np.array(centres)[:, None] - self._places)
        nearest = apart.argmin(axis=1)
        return [*zip(nearest.tolist(), apart.min(axis=1).tolist(), strict=True)]

    def _tidy(self, now_ns: int) -> None:
        self._tidy_ns = now_ns + _TIDY_NS
        kept = [j for j, seen_ns in enumerate(self._seen_ns) if now_ns - seen_ns <= _FORGET_NS]
        self._places = self._places[kept]
        self._seen_ns = [self._seen_ns[j] for j in kept]
        self._asked = [self._asked[j] for j in kept]


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
