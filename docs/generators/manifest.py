"""The twin defaults within deployment.template.json, taken from the settings.

Only what an operator changes in a running line: all else stays at its default, and a small
twin leaves room below the hub's 32 KB.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.settings import DEFAULTS

MODULE: Final = "visionedge"
_SHOWN: Final[dict[str, Any]] = {
    "cameras": {"line-1": {"kind": {}, "model": {}, "max_fps": {}, "expect_objects": {}}},
    "models": {"default": {"path": {}, "floor": {}}},
    "decision": {"accept": {}, "margin": {}},
    "escalation": {"enabled": {}, "min_interval_s": {}, "ttl_s": {}},
    "telemetry": {"interval_s": {}},
}


def desired() -> dict[str, Any]:
    """The desired properties that a first deployment sets."""
    return {section: _picked(DEFAULTS[section], shown) for section, shown in _SHOWN.items()}


def with_desired(template: Path) -> str:
    """The template as it should be: as it is, with the twin defaults of today."""
    manifest = json.loads(template.read_text(encoding="utf-8"))
    manifest["modulesContent"][MODULE] = {"properties.desired": desired()}
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _picked(value: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _picked(value[name], below) if below else value[name] for name, below in shown.items()
    }
