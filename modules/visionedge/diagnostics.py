"""What somebody far away needs to understand a module, in one small object without secrets."""

import json
import threading
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from visionedge.metrics import Metrics
from visionedge.runtime.redact import redact
from visionedge.settings import Settings

_MAX_BYTES: Final = 64 * 1024
_PACKAGES: Final = (
    "visionedge",
    "azure-iot-device",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pydantic",
)


def diagnostics(
    status: Mapping[str, Any], facts: Mapping[str, Any], settings: Settings, metrics: Metrics
) -> dict[str, Any]:
    """Status, reported facts, versions, threads, counters and settings.

    Args:
        status: as the method `status` answers.
        facts: as the twin reports them.
        settings: those in use; passwords within addresses are hidden.
        metrics: counters that are not 0 are told.
    """
    told: dict[str, Any] = {
        "status": dict(status),
        "facts": dict(facts),
        "versions": _versions(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "counters": _counters(metrics),
        "settings": _hidden(settings.model_dump(mode="json")),
    }
    while len(json.dumps(told).encode()) > _MAX_BYTES:
        largest = max(told, key=lambda part: len(json.dumps(told[part])))
        told[largest] = "left out, it is too large"
    return told


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def _counters(metrics: Metrics) -> dict[str, float]:
    counters = (series.name for series in metrics.series() if series.kind == "counter")
    return {name: value for name in counters if (value := metrics.value(name))}


def _hidden(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {redact(key): _hidden(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value
