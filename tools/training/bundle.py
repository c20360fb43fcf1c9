"""Writes what lies beside the weights: the card and the labels.

The card repeats what the graph's metadata say and adds what they cannot: the letterbox, its grey,
the licence, where the model comes from, and the checksum of the very file.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.inference.card import CARD_NAME, LABELS_NAME, InputCard, ModelCard

MODEL_NAME: Final = "model.onnx"
_ORIGIN: Final = "Trained by `make train` on boards that visionedge renders; no other pictures."


def write_card(folder: Path, version: str) -> None:
    """Write `model.json` and `labels.txt` beside the `model.onnx` that is in `folder`."""
    checksum = hashlib.sha256((folder / MODEL_NAME).read_bytes()).hexdigest()
    card = ModelCard(
        card="model-card/1",
        name=folder.name,
        version=version,
        task="detection",
        head="yolo_v8",
        labels=DEFECT_LABELS,
        input=InputCard(fit="letterbox", color="rgb", scale=1.0, pad=114),
        release_early=True,
        sha256=checksum,
        licence="MIT",
        origin=_ORIGIN,
    )
    text = json.dumps(card.model_dump(mode="json", exclude_unset=True), indent=2)
    (folder / CARD_NAME).write_text(text + "\n", encoding="utf-8")
    (folder / LABELS_NAME).write_text("\n".join(DEFECT_LABELS) + "\n", encoding="utf-8")
