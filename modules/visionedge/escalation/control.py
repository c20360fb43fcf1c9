"""The control sample: confident frames that are sent all the same.

An error that is sure of itself is never doubted, so no rule finds it. A small steady share
of confident frames, judged by somebody else, says how often that happens. Frames are drawn
evenly over what was seen in them (each class, and the empty scene), because otherwise
nearly all of them would show the commonest case, the one that is most often right.

The draw is by time and not by chance for each frame: so many an hour, whatever the rate of
the camera. What this does not promise: an unbiased share of errors over all frames without
weighing the classes by how often they occur; telemetry counts those.
"""

from collections import Counter
from typing import Final

import numpy as np

from visionedge.entities import Classification, Detections, Prediction
from visionedge.escalation.judging import is_independent

REASON: Final = "control"
VALUE: Final = 0.5
"""To the spool and the sender: its own share keeps it there, so any value would do."""
_EMPTY: Final = "(empty)"
_MOST_STRATA: Final = 256
_HOUR_NS: Final = 3_600_000_000_000
_PRESENT: Final = 0.5


class ControlSample:
    """The draw of one camera. Not safe for threads: its owner locks."""

    def __init__(self) -> None:
        self._drawn: Counter[str] = Counter()
        self._opened_ns: int | None = None

    def draws(self, prediction: Prediction, captured_ns: int, per_hour: float) -> bool:
        """True if this confident frame is to be sent.

        A place comes free every `1 / per_hour` hours. The first frame that shows what was
        drawn least takes it; after as long again any frame does.
        """
        if per_hour <= 0:
            return False
        every_ns = round(_HOUR_NS / per_hour)
        if self._opened_ns is None:
            self._opened_ns = captured_ns
        waited_ns = captured_ns - self._opened_ns
        stratum = stratum_of(prediction)
        if stratum not in self._drawn and len(self._drawn) < _MOST_STRATA:
            self._drawn[stratum] = 0
        if waited_ns < every_ns:
            return False
        if self._drawn[stratum] > min(self._drawn.values()) and waited_ns < 2 * every_ns:
            return False
        self._drawn[stratum] += 1
        self._opened_ns = captured_ns
        return True


def stratum_of(prediction: Prediction) -> str:
    """What a confident frame stands for: its best class, or that it is empty."""
    if len(prediction) == 0:
        return _EMPTY
    if isinstance(prediction, Detections):
        return prediction.label(int(prediction.confidence.argmax()))
    return _stratum_of_classes(prediction)


def _stratum_of_classes(prediction: Classification) -> str:
    best = int(np.argmax(prediction.confidence))
    if is_independent(prediction) and not prediction.confidence[best] >= _PRESENT:
        return _EMPTY
    return prediction.label(best)
