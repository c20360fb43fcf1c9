"""A manifest or template against the public JSON Schemas of Azure IoT Edge.

The schemas are a folder that the caller names; nothing is fetched. Editors check
`deployment.template.json` by the template schema, the Azure CLI checks edgeAgent and
edgeHub each by its own, and the whole has one too: all that fit by their version are asked.

jsonschema is no part of the container: it comes with the extra `tools`.

Source: json.schemastore.org `azure-iot-edge-deployment-*`; Azure CLI extension azure-iot.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.deployment.placeholders import Document, read_json
from visionedge.errors import SettingsError

_STORE: Final = "https://json.schemastore.org/"
_DESIRED: Final = "properties.desired"
_TEMPLATES: Final = {"1.0": "2.0", "1.1": "3.0", "1.2": "4.0"}
"""Schema version of edgeHub to that of the template."""


def faults(document: Document, folder: Path, *, template: bool) -> list[str]:
    """`schema: path: what is wrong` for each fault; empty where all schemas accept it.

    Args:
        document: a template or a final manifest; a layer laid onto its base.
        folder: of the schemas, under their public names.
        template: which of the two it is.

    Raises:
        SettingsError: jsonschema is not installed, or the folder lacks a schema.
    """
    asked = _template(document) if template else _final(document)
    return [f"{name}: {fault}" for name, part in asked for fault in _faults(name, part, folder)]


def _template(document: Document) -> Iterator[tuple[str, Document]]:
    version = _TEMPLATES.get(_version(document, "$edgeHub"), "4.0")
    yield f"azure-iot-edge-deployment-template-{version}.json", document


def _final(document: Document) -> Iterator[tuple[str, Document]]:
    yield "azure-iot-edge-deployment-2.0.json", document
    for module, name in (("$edgeAgent", "edgeagent"), ("$edgeHub", "edgehub")):
        part = {module: document.get("modulesContent", {}).get(module)}
        version = _version(document, module)
        yield f"azcli-azure-iot-{name}-deployment-{version}.json", part


def _version(document: Document, module: str) -> str:
    contents = document.get("modulesContent", {})
    return str(contents.get(module, {}).get(_DESIRED, {}).get("schemaVersion", "1.1"))


def _faults(name: str, document: Document, folder: Path) -> Iterator[str]:
    try:
        from jsonschema import Draft4Validator
        from jsonschema.validators import validator_for
        from referencing import Registry, Resource
        from referencing.jsonschema import DRAFT4
    except ImportError:
        raise SettingsError(
            "--check needs jsonschema", hint="pip install 'visionedge[tools]'"
        ) from None
    resources = [
        (_STORE + path.name, Resource.from_contents(_schema(path), DRAFT4))
        for path in sorted(folder.glob("azure-iot-*.json"))
    ]
    schema = _schema(folder / name)
    registry: Registry[Any] = Registry().with_resources(resources)
    validator = validator_for(schema, default=Draft4Validator)(schema, registry=registry)
    for error in validator.iter_errors(document):
        # Of alternatives that all fail, the one that came furthest is what was meant.
        deepest = max((error, *(error.context or ())), key=lambda e: len(e.absolute_path))
        yield f"{'.'.join(map(str, deepest.absolute_path))}: {_short(deepest.message)}"


def _schema(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise SettingsError(
            f"there is no schema {path}", hint="--check wants the folder with the public schemas"
        )
    return read_json(path)


def _short(message: str) -> str:
    """A message begins with the faulty value, which may be a whole document."""
    return (
        message
        if len(message) <= 300
        else f"{json.dumps(message[:140])[1:-1]} ... {message[-140:]}"
    )
