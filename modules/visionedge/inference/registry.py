"""All heads by the name that a card gives them. A new format is one file and one line here."""

from collections.abc import Callable, Mapping
from typing import Final

from visionedge.inference.adapter import ModelAdapter
from visionedge.inference.boxes import Limits
from visionedge.inference.card import HeadName, ModelCard
from visionedge.inference.classifier import Classifier
from visionedge.inference.custom_vision import CustomVisionClassification
from visionedge.inference.tensors import Signature
from visionedge.inference.yolo_end2end import YoloEnd2End
from visionedge.inference.yolo_v5 import YoloV5
from visionedge.inference.yolo_v8 import YoloV8
from visionedge.inference.yolox import YoloX

Build = Callable[[ModelCard, Signature, Limits], ModelAdapter]

ADAPTERS: Final[Mapping[HeadName, Build]] = {
    "classifier": Classifier,
    "custom_vision_classification": CustomVisionClassification,
    "yolo_v5": YoloV5,
    "yolo_v8": YoloV8,
    "yolo_end2end": YoloEnd2End,
    "yolox": YoloX,
}


def build_adapter(card: ModelCard, signature: Signature, limits: Limits) -> ModelAdapter:
    """A new adapter with buffers of its own, for one worker.

    Raises:
        ModelCardError: card and model do not fit together; mend the field it names.
    """
    return ADAPTERS[card.head](card, signature, limits)
