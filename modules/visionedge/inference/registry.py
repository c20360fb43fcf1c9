"""All formats by the name that a card gives their heads. A new one is one file and one line.

The order is that in which they are asked whether a model is theirs: the narrow before the
wide, so that a shape two formats share goes to the one that looks more closely.
"""

from collections.abc import Mapping
from typing import Final

from visionedge.inference import (
    anomaly,
    classifier,
    custom_vision,
    custom_vision_detection,
    detr,
    detr_queries,
    fastestdet,
    gfl,
    tf_detection,
    torchvision_detection,
    ultraface,
    yolo_end2end,
    yolo_v2,
    yolo_v5,
    yolo_v5_raw,
    yolo_v8,
    yolox,
    yunet,
)
from visionedge.inference.adapter import ModelAdapter
from visionedge.inference.boxes import Limits
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Format
from visionedge.inference.tensors import Signature

FORMATS: Final[Mapping[str, Format]] = {
    known.head: known
    for known in (
        custom_vision.FORMAT,
        custom_vision_detection.FORMAT,
        tf_detection.FORMAT,
        yunet.FORMAT,
        anomaly.FORMAT,
        detr.FORMAT,
        torchvision_detection.FORMAT,
        gfl.FORMAT,
        ultraface.FORMAT,
        yolo_v2.FORMAT,
        fastestdet.FORMAT,
        yolo_v8.FORMAT,
        yolo_v5.FORMAT,
        yolo_v5_raw.FORMAT,
        yolox.FORMAT,
        yolo_end2end.FORMAT,
        detr_queries.FORMAT,
        classifier.FORMAT,
    )
}


def build_adapter(card: ModelCard, signature: Signature, limits: Limits) -> ModelAdapter:
    """A new adapter with buffers of its own, for one worker.

    Raises:
        ModelCardError: card and model do not fit together; mend the field it names.
    """
    return FORMATS[card.head].build(card, signature, limits)
