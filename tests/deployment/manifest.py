"""The deployment manifest, as a template and as the hub gets it."""

import json
from collections.abc import Mapping
from typing import Any

from tests.deployment.dockerfile import ROOT

SCHEMAS = ROOT / "../shared/schemas"
MODULE = "visionedge"


def template() -> dict[str, Any]:
    """deployment.template.json."""
    text = (ROOT / "deployment.template.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def final() -> dict[str, Any]:
    """The manifest with its create options as strings, as the hub wants them."""
    document = template()
    del document["$schema-template"]
    for module in modules(document).values():
        options = module["settings"]["createOptions"]
        module["settings"]["createOptions"] = json.dumps(options, separators=(",", ":"))
    return document


def modules(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every module with its settings, those of the system too, by name."""
    agent = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    return {**agent["systemModules"], **agent["modules"]}


def own(document: Mapping[str, Any]) -> dict[str, Any]:
    """Our own module."""
    module: dict[str, Any] = modules(document)[MODULE]
    return module


def routes() -> dict[str, Any]:
    """The routes by name."""
    hub = template()["modulesContent"]["$edgeHub"]["properties.desired"]
    found: dict[str, Any] = hub["routes"]
    return found
