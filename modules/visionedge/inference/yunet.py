"""YuNet, the face detector of OpenCV (2023): `cls`, `obj`, `bbox` and `kps` of each stride.

Of each of the strides 8, 16, 32 there is a class score `cls_8` and an objectness `obj_8`,
both `[1, n, 1]` after their sigmoid, a box `bbox_8` `[1, n, 4]` and five landmarks, which are
passed over. Centre `(cell + v) * stride`, size `exp(v) * stride`, confidence the root of
class times objectness.
Source: opencv, `modules/objdetect/src/face_detect.cpp`; ShiqiYu/libfacedetection.train,
`tools/yunet2onnx.py`.
"""

from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.errors import ModelCardError
from visionedge.inference.boxes import Floats, Limits, candidates, xywh_to_xyxy
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Fields, Format, Told
from visionedge.inference.geometry import Geometry
from visionedge.inference.grid import grid
from visionedge.inference.head import Head, finite
from visionedge.inference.tensors import Outputs, Signature

_STRIDES: Final = (8, 16, 32)
_PARTS: Final = ("cls", "obj", "bbox")
_MOST: Final = 1e4
_MOST_EXPONENT: Final = 80
"""Beyond it the exponential overflows; what is near it is refused as a box."""


class YuNet(Head):
    """Face detector with named outputs for each stride."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        names = [spec.name for spec in signature.outputs]
        missing = [name for name in _names() if name not in names]
        if missing:
            raise ModelCardError(
                f"the model has no output {', '.join(missing)}: {signature}",
                hint="use the 2023 export of YuNet, or name another `head`",
            )
        self._indices = {
            part: [names.index(f"{part}_{stride}") for stride in _STRIDES] for part in _PARTS
        }
        self._check_labels(1)
        self._cells, self._lengths = grid(self._writer.size, _STRIDES)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        scores, objectness = (finite(self._column(outputs, part)) for part in ("cls", "obj"))
        boxes = self._joined(outputs, "bbox", 4)
        # The limits are OpenCV's.
        confidence = np.sqrt(np.clip(scores, 0, 1) * np.clip(objectness, 0, 1))
        chosen = candidates(confidence, self._limits, self._card.temperature)
        xywh = np.clip(finite(boxes[chosen]), -_MOST, _MOST)
        xywh[:, :2] += self._cells[chosen]
        np.exp(np.minimum(xywh[:, 2:], _MOST_EXPONENT), out=xywh[:, 2:])
        xywh *= self._lengths[chosen, None]
        classes = np.zeros(len(chosen), np.int32)
        return self._detections(xywh_to_xyxy(xywh), confidence[chosen], classes, geometry)

    def _column(self, outputs: Outputs, part: str) -> Floats:
        return self._joined(outputs, part, 1)[:, 0]

    def _joined(self, outputs: Outputs, part: str, columns: int) -> Floats:
        """One part of all strides, (N, columns)."""
        arrays = [self._array(outputs, index, 3) for index in self._indices[part]]
        if any(array.shape[0] != 1 or array.shape[2] != columns for array in arrays):
            raise self._wrong_shape(arrays[0])
        joined = np.concatenate([array[0] for array in arrays])
        if len(joined) != len(self._cells):
            raise self._wrong_shape(joined)
        return joined


def _names() -> list[str]:
    return [f"{part}_{stride}" for part in _PARTS for stride in _STRIDES]


def tell(answer: Answer) -> Told | None:
    """Outputs of these names are nobody else's."""
    return Told("outputs cls, obj and bbox of each stride") if answer.has(*_names()) else None


_INPUT: Final[Fields] = {"fit": "letterbox_top_left", "color": "bgr", "scale": 1.0, "pad": 0}
FORMAT: Final = Format(
    head="yunet",
    task="detection",
    build=YuNet,
    tell=tell,
    exporters="YuNet of OpenCV, 2023",
    layout="for each stride `cls_8` and `obj_8` `[1, n, 1]`, `bbox_8` `[1, n, 4]`",
    input=_INPUT,
    labels=("face",),
)
