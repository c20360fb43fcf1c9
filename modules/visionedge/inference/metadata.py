"""What exporters write about a model: into the ONNX file, and into files beside it.

Ultralytics: keys `names`, `imgsz`, `task`, `stride`, `end2end`; values are Python
literals as text. Custom Vision and WinML: the ONNX image metadata `Image.*`
(onnx/docs/MetadataProps.md), in the file or, from 2023 on, in `metadata_properties.json`
beside it; `cvexport.manifest` names the label file.
"""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.inference.card import LABELS_NAME, read_labels

_MAX_LITERAL: Final = 1_000_000
_MAX_NEIGHBOUR_BYTES: Final = 4 * 1024**2
ULTRALYTICS_TASKS: Final[Mapping[str, str]] = {
    "detect": "detection",
    "segment": "detection",
    "classify": "classification",
}


def literal(text: str) -> Any:  # noqa: ANN401 - a literal can be of any type
    """The Python literal in `text`, or None where there is none."""
    if len(text) > _MAX_LITERAL:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Ultralytics' `names`, in the order of their numbers; empty where there are none."""
    value = literal(metadata.get("names", ""))
    if isinstance(value, dict) and sorted(value) == list(range(len(value))):
        value = [value[number] for number in range(len(value))]
    if isinstance(value, list | tuple):
        return tuple(str(name) for name in value)
    return ()


def image_size(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """Ultralytics' `imgsz` as width, height."""
    value = literal(metadata.get("imgsz", ""))
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(v) is int for v in value):
        return value[1], value[0]
    return None


def neighbours(model: Path) -> dict[str, str]:
    """`metadata_properties.json` beside the model; empty where there is none."""
    document = _json_beside(model, "metadata_properties.json")
    return {key: value for key, value in document.items() if isinstance(value, str)}


def neighbour_labels(model: Path) -> tuple[tuple[str, ...], str]:
    """The label list beside the model, and its file name; empty where there is none.

    Raises:
        ModelCardError: there is one, and it cannot be read.
    """
    name = _json_beside(model, "cvexport.manifest").get("LabelFileName")
    # Only a plain name: a manifest has no say in which folders are read.
    if not isinstance(name, str) or Path(name).name != name:
        name = LABELS_NAME
    path = model.parent / name
    return (read_labels(path), name) if path.is_file() else ((), "")


def _json_beside(model: Path, name: str) -> dict[str, Any]:
    path = model.parent / name
    try:
        if path.stat().st_size > _MAX_NEIGHBOUR_BYTES:
            return {}
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
