"""All formats by the name that a card gives their heads. A new one is one file and one line.

The order is that in which they are asked whether a model is theirs: the narrow before the
wide, so that a shape two formats share goes to the one that looks more closely.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from visionedge.inference.adapter import ModelAdapter
from visionedge.inference.boxes import Limits
from visionedge.inference.card import ModelCard, Task
from visionedge.inference.format import Format
from visionedge.inference.tensors import Signature

_HEADS: Final[Mapping[str, tuple[str, Task]]] = {
    "custom_vision_classification": ("custom_vision", "classification"),
    "custom_vision_detection": ("custom_vision_detection", "detection"),
    "tf_detection": ("tf_detection", "detection"),
    "yunet": ("yunet", "detection"),
    "anomaly": ("anomaly", "classification"),
    "detr": ("detr", "detection"),
    "torchvision_detection": ("torchvision_detection", "detection"),
    "gfl": ("gfl", "detection"),
    "ultraface": ("ultraface", "detection"),
    "yolo_v2": ("yolo_v2", "detection"),
    "fastestdet": ("fastestdet", "detection"),
    "yolo_v8": ("yolo_v8", "detection"),
    "yolo_v5": ("yolo_v5", "detection"),
    "yolo_v5_raw": ("yolo_v5_raw", "detection"),
    "yolox": ("yolox", "detection"),
    "yolo_end2end": ("yolo_end2end", "detection"),
    "detr_queries": ("detr_queries", "detection"),
    "classifier": ("classifier", "classification"),
}
"""The file of each, and what its models do. Only those that are asked for are imported: a start
waits for every import, and most devices need one of them."""
TASKS: Final[Mapping[str, Task]] = {head: task for head, (_, task) in _HEADS.items()}


class _Formats(Mapping[str, Format]):
    def __getitem__(self, head: str) -> Format:
        file, _ = _HEADS[head]
        known: Format = import_module(f"visionedge.inference.{file}").FORMAT
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(_HEADS)

    def __len__(self) -> int:
        return len(_HEADS)


FORMATS: Final[Mapping[str, Format]] = _Formats()


def build_adapter(card: ModelCard, signature: Signature, limits: Limits) -> ModelAdapter:
    """A new adapter with buffers of its own, for one worker.

    Raises:
        ModelCardError: card and model do not fit together; mend the field it names.
    """
    return FORMATS[card.head].build(card, signature, limits)
