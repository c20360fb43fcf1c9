"""Whether the same scene with the same prediction was asked about lately.

For doubt about a frame as a whole, which has no object to follow. Two pictures are the
same scene when their difference hashes differ in a few bits: each bit says whether a cell
is brighter than its neighbour (Krawetz, "Kind of Like That", 2013), so noise and slow
change of light do not count. The prediction must be the same as well: a line of equal parts
looks alike, and the one that is judged otherwise is the one to ask about.

This suppresses bursts and is never an identity: answers are not reused for another frame.
"""

from collections import OrderedDict
from typing import Final

import cv2
import numpy as np

from visionedge.entities import Detections, Frame, Image, Prediction

_CELLS: Final = (9, 8)
_MOST_BITS: Final = 3
"""Of 64: sensor noise flips none to two, another part on the belt ten or more."""
_REMEMBERED: Final = 64
_STRIDE_PX: Final = 4
_SURENESS_STEPS: Final = 5

Scene = tuple[int, str]
"""Difference hash, and what was predicted."""


class Scenes:
    """What one camera has asked about. Not safe for threads: its owner locks."""

    def __init__(self) -> None:
        self._asked: OrderedDict[Scene, int] = OrderedDict()

    def is_repeated(self, scene: Scene, captured_ns: int, within_ns: int) -> bool:
        """True if much the same was asked about within `within_ns`, before or after."""
        return any(
            prediction == scene[1]
            and abs(captured_ns - asked_ns) < within_ns
            and (picture ^ scene[0]).bit_count() <= _MOST_BITS
            for (picture, prediction), asked_ns in self._asked.items()
        )

    def remember(self, scene: Scene, captured_ns: int) -> None:
        """It is being asked about."""
        self._asked[scene] = captured_ns
        self._asked.move_to_end(scene)
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)


def scene_of(frame: Frame, prediction: Prediction, reason: str) -> Scene:
    """What is compared of a frame.

    Args:
        frame: of which nothing is kept but 64 bits.
        prediction: what was seen in it.
        reason: why it is doubted.
    """
    return difference_hash(frame.image), f"{reason} {_signature(prediction)}"


def difference_hash(image: Image) -> int:
    """64 bits: is each cell brighter than its right neighbour."""
    step = max(1, min(_STRIDE_PX, min(image.shape[:2]) // 16))
    # One channel says enough about light and shape.
    small = cv2.resize(
        np.ascontiguousarray(image[::step, ::step, 1]), _CELLS, interpolation=cv2.INTER_AREA
    )
    bits = small[:, 1:] > small[:, :-1]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _signature(prediction: Prediction) -> str:
    if isinstance(prediction, Detections):
        return " ".join(sorted(prediction.label(i) for i in range(len(prediction))))
    # Sureness in steps, so that a doubt that has become another one is asked about anew.
    return " ".join(
        f"{prediction.label(class_id)}:{round(confidence * _SURENESS_STEPS)}"
        for class_id, confidence in prediction.top(2)
    )
