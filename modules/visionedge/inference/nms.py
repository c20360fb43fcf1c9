"""Suppression: of boxes of one class that overlap too much, the best one stays.

It is the greedy one of everybody, by OpenCV: after a run of the model its one call takes a
quarter of the time of the same in numpy, whose every function has to come back into the
caches first (`docs/explanation/performance.md`). Classes are kept apart by laying them side
by side, farther from each other than any box reaches.

Its time grows with the square of the candidates, so no more than the thousand best are
looked at, as torchvision's detectors do: a model that finds something everywhere costs some
milliseconds and not seconds.

What this does not promise: a box for a confidence of exactly 0, which is none.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.inference.geometry import Floats

FAR_PX: Final = 1e6
"""No box of a picture reaches so far."""
_CLASS_APART_PX: Final = 4 * FAR_PX
_MOST_CANDIDATES: Final = 1000
"""At least as many as may be kept (`max_detections` of the settings)."""


def nms(
    xyxy: Floats, confidence: Floats, class_id: NDArray[np.int32], limit: float, keep: int
) -> NDArray[np.intp]:
    """Indices of the boxes that stay, best first, at most `keep`.

    Boxes of equal confidence keep their order.

    Args:
        xyxy: (n, 4) float32, pixels, none beyond `FAR_PX`.
        confidence: (n,) float32, 0..1.
        class_id: (n,) int32.
        limit: overlap above which the lesser box goes, 0..1.
        keep: at most 1000.
    """
    xywh = xyxy.astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    xywh[:, 0] += class_id * _CLASS_APART_PX
    kept = cv2.dnn.NMSBoxes(
        xywh,  # type: ignore[arg-type] # its stub knows lists only
        confidence,  # type: ignore[arg-type] # as above
        0,
        limit,
        top_k=_MOST_CANDIDATES,
    )
    # Of no boxes, OpenCV returns an empty tuple.
    return np.asarray(kept[:keep], np.intp)
