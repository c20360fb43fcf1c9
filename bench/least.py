"""The least that finds boxes, or a class, in what a model says: the floor of a decode.

Nothing is typed, checked, cut at the border of the frame, calibrated or named, and no head is
chosen: it is written for one layout each, by as few array calls as possible, because after a run
of the model each of them costs ten times what it does in a loop of its own. So who looks at
frames by NumPy and OpenCV cannot be much quicker, and what a module adds to it is its own.

    yolox       rows whose objectness reaches the floor; of those class, score and box
    yolo_v8     columns whose best score does so; likewise
    classifier  softmax, and the best class

What this does not promise: an answer where a model is broken, or boxes of two classes kept apart
where some reach far out of the picture.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.graphs.yolox_nano import STRIDES
from bench.naive import Floats, Found
from bench.report import Unavailable
from bench.subjects import Subject
from visionedge.entities import Image
from visionedge.inference.geometry import Geometry
from visionedge.inference.grid import grid

Answer = tuple[NDArray[Any], Floats, Floats]
"""Of each class, confidence, and corner and size: (n,), (n,), (n, 4) in pixels of the frame."""
Least = Callable[[Floats], Answer]
"""From the model's first output to what is in it."""


def least(subject: Subject, geometry: Geometry) -> Least:
    """The least that reads the answers of a subject's model, for frames of one size.

    Raises:
        Unavailable: nobody has written it for this head.
    """
    head = subject.model.card.head
    if head not in _LEAST:
        raise Unavailable(f"the least that reads head {head} is not written")
    return _LEAST[head](subject, geometry)


def found(answer: Answer, image: Image) -> Found:
    """An answer as the other ways give theirs, cut at the border; to be compared, not measured."""
    class_id, confidence, xywh = answer
    xyxy = xywh.copy()
    if xyxy.shape[1]:
        height, width = image.shape[:2]
        xyxy[:, 2:] += xyxy[:, :2]
        np.clip(xyxy, 0, [width, height, width, height], out=xyxy)
    rows = zip(class_id.tolist(), confidence.tolist(), xyxy, strict=True)
    return [
        (number, score, box)
        for number, score, box in rows
        if not len(box) or (box[2] > box[0] and box[3] > box[1])
    ]


def _yolox(subject: Subject, geometry: Geometry) -> Least:
    limits, tensor = subject.model.limits, subject.model.session.signature.inputs[0].shape
    cells, strides = grid((tensor[3] or 0, tensor[2] or 0), STRIDES)
    # The scale of the frame is in it already, and the picture lies at the top left.
    steps = np.repeat(strides[:, None] / np.float32(geometry.scale_x), 4, axis=1)
    places = np.concatenate([cells, steps], axis=1)

    def read(output: Floats) -> Answer:
        table = output[0]
        rows = (table[:, 4] >= limits.floor).nonzero()[0]
        picked, place = table.take(rows, 0), places.take(rows, 0)
        scores = picked[:, 5:] * picked[:, 4:5]
        xywh, size = picked[:, :4], picked[:, 2:4]
        np.exp(size, out=size)
        xywh[:, :2] += place[:, :2]
        xywh *= place[:, 2:]
        xywh[:, :2] -= size * np.float32(0.5)
        return _best(xywh, scores.max(1), scores.argmax(1), limits.floor, limits.nms_iou)

    return read


def _yolo_v8(subject: Subject, geometry: Geometry) -> Least:
    limits = subject.model.limits
    scale = np.float32(1 / geometry.scale_x)
    offset = np.array([[geometry.offset_x], [geometry.offset_y]], np.float32)

    def read(output: Floats) -> Answer:
        table = output[0]
        columns = (table[4:].max(0) >= limits.floor).nonzero()[0]
        picked = table.take(columns, 1)
        scores, xywh = picked[4:], picked[:4]
        xywh[:2] -= xywh[2:] * np.float32(0.5) + offset
        xywh *= scale
        return _best(xywh.T, scores.max(0), scores.argmax(0), limits.floor, limits.nms_iou)

    return read


def _classifier(_: Subject, __: Geometry) -> Least:
    def read(output: Floats) -> Answer:
        exponential = np.exp(output[0] - output.max())
        exponential /= exponential.sum()
        best = exponential.argmax()
        return np.array([best]), exponential[best : best + 1], _NOWHERE

    return read


def _best(
    xywh: Floats, confidence: Floats, class_id: NDArray[np.intp], floor: float, iou: float
) -> Answer:
    kept = cv2.dnn.NMSBoxesBatched(
        xywh.tolist(),
        confidence,  # type: ignore[arg-type] # its stub knows lists only
        class_id,  # type: ignore[arg-type] # as above
        floor,
        iou,
    )
    # Of no boxes, OpenCV returns an empty tuple.
    where = np.asarray(kept, np.intp)
    return class_id.take(where), confidence.take(where), xywh.take(where, 0)


_NOWHERE: Final = np.zeros((1, 0), np.float32)
_LEAST: Final[Mapping[str, Callable[[Subject, Geometry], Least]]] = {
    "yolox": _yolox,
    "yolo_v8": _yolo_v8,
    "classifier": _classifier,
}
"""By head; with its own numbers for one size of frames."""
