"""`cvexport.manifest`: what Custom Vision says of an export.

It tells which file is the model, and for which platform it was exported: an export for
TensorFlow Lite or Core ML looks the same from outside and holds no ONNX model. It has no
say in which folders are read, so only plain names are taken from it.

Its `ModelFileSHA1` is not compared: the exports that are known carry it without their
model, so what exactly it covers could not be seen.
"""

import json
from pathlib import Path
from typing import Any, Final

from visionedge.errors import ModelLoadError

MANIFEST_NAME: Final = "cvexport.manifest"
_MAX_BYTES: Final = 1024**2
_TOLD: Final = (
    "DomainType",
    "Platform",
    "Flavor",
    "ExporterVersion",
    "ExportedDate",
    "IterationId",
)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in a folder; empty where there is none that can be read."""
    path = folder / MANIFEST_NAME
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def model_name(folder: Path) -> str | None:
    """The ONNX file that the manifest names, if there is one.

    Raises:
        ModelLoadError: the export is for another platform.
    """
    manifest = read_manifest(folder)
    name = manifest.get("ModelFileName")
    if not isinstance(name, str) or Path(name).name != name:
        return None
    if name.lower().endswith(".onnx"):
        return name if (folder / name).is_file() else None
    if any(folder.glob("*.onnx")):
        return None
    platform = manifest.get("Platform", "another platform")
    raise ModelLoadError(
        f"{folder} is an export of Custom Vision for {platform} ({name})",
        hint="export the iteration again with platform ONNX",
    )


def origin(folder: Path) -> str:
    """One line on where an export is from; empty where there is no manifest."""
    manifest = read_manifest(folder)
    told = [f"{key} {manifest[key]}" for key in _TOLD if isinstance(manifest.get(key), str)]
    return f"Custom Vision: {', '.join(told)}" if told else ""
