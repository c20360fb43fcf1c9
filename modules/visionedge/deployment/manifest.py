"""A template as a manifest: images filled in, and create options as the hub keeps them.

In a template the create options of a module are an object, for people. In the manifest, and
so in edgeAgent's twin, they are a text, cut into pieces of 512 characters under
`createOptions`, `createOptions01`, `createOptions02` and so on: the form that every tool
writes and edgeAgent joins again.

A layered deployment has its modules under dotted names, `properties.desired.modules.NAME`;
it is rendered the same way, and `layered_onto` shows what a device makes of it.

Source: Azure/iotedge, edge-agent, `CreateOptionsJsonConverter` (chunks); IoT Edge docs,
"Understand IoT Edge automatic deployments" (layers).
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.deployment.placeholders import Document, filled, read_json, replaced
from visionedge.errors import SettingsError

CHUNK: Final = 512
MAX_CHUNKS: Final = 100
_TEMPLATE_KEY: Final = "$schema-template"
_DESIRED: Final = "properties.desired"
NOTHING: Final[Document] = {
    "modulesContent": {
        "$edgeAgent": {_DESIRED: {"modules": {}}},
        "$edgeHub": {_DESIRED: {"routes": {}}},
    }
}
"""A base for a layer that is looked at alone."""
_OPTIONS: Final = re.compile(r"createOptions(\d\d)?")


def rendered(template: Document, values: Mapping[str, str], images: Mapping[str, str]) -> Document:
    """The manifest that a template stands for.

    Args:
        template: with `${NAME}` and create options as objects; texts are left as they are.
        values: what the names stand for.
        images: of modules, from `image_references`; they may hold names themselves.

    Raises:
        SettingsError: a name has no value, or create options are too long.
    """
    document = copy.deepcopy(template)
    document.pop(_TEMPLATE_KEY, None)
    document = filled(replaced(document, images), values)
    for name, module in modules(document):
        settings = module.get("settings")
        if isinstance(settings, dict) and isinstance(settings.get("createOptions"), Mapping):
            settings |= _chunks(name, settings.pop("createOptions"))
    return document


def unpacked(manifest: Document) -> Document:
    """The manifest with create options as objects again, for comparing."""
    document = copy.deepcopy(manifest)
    for _, module in modules(document):
        settings = module.get("settings")
        if not isinstance(settings, dict):
            continue
        parts = sorted(key for key in settings if _OPTIONS.fullmatch(key))
        if parts and all(isinstance(settings[part], str) for part in parts):
            text = "".join(settings.pop(part) for part in parts)
            settings["createOptions"] = _parsed(text)
    return document


def image_references(template: Path, platform: str) -> dict[str, str]:
    """`MODULES.name` for each module whose `module.json` lies beside or above the template.

    Args:
        template: the folders above it are looked through for `modules/NAME/module.json`.
        platform: such as `amd64`; part of the tag.

    Raises:
        SettingsError: one of these files cannot be read, or names no image.
    """
    found: dict[str, str] = {}
    for folder in reversed(template.resolve().parents):
        for path in sorted(folder.glob("modules/*/module.json")):
            try:
                image = read_json(path)["image"]
                reference = f"{image['repository']}:{image['tag']['version']}"
                platforms = [*image["tag"]["platforms"]]
            except (KeyError, TypeError):
                raise SettingsError(
                    f"{path} names no image",
                    hint="give it image.repository, image.tag.version and image.tag.platforms",
                ) from None
            found[f"MODULES.{path.parent.name}"] = f"{reference}-{platform}"
            for each in platforms:
                found[f"MODULES.{path.parent.name}.{each}"] = f"{reference}-{each}"
    return found


def layered_onto(base: Document, layer: Document) -> Document:
    """What a device makes of a layered deployment above `base`: the whole configuration.

    Each dotted name is set in the base, whole: a module or route of that name is replaced.
    """
    document = copy.deepcopy(base)
    contents = document["modulesContent"]
    for module, sections in layer["modulesContent"].items():
        for dotted, value in sections.items():
            _, *path = dotted.removeprefix(_DESIRED).split(".")
            target = contents.setdefault(module, {}).setdefault(_DESIRED, {})
            if not path:
                contents[module][_DESIRED] = value
                continue
            for key in path[:-1]:
                target = target.setdefault(key, {})
            target[path[-1]] = value
    return document


def is_template(document: Document) -> bool:
    """True before `rendered`: its create options are still objects."""
    return _TEMPLATE_KEY in document


def is_layered(document: Document) -> bool:
    """True where edgeAgent gets dotted names, and so not its whole configuration."""
    contents = document.get("modulesContent")
    if not isinstance(contents, Mapping):
        raise SettingsError("it has no `modulesContent`", hint="is this a deployment manifest?")
    return _DESIRED not in contents.get("$edgeAgent", {})


def modules(document: Document) -> Iterator[tuple[str, Document]]:
    """Name and definition of every module of a manifest or layer, the system's too."""
    agent = document.get("modulesContent", {}).get("$edgeAgent", {})
    desired = agent.get(_DESIRED, {})
    for section in ("systemModules", "modules"):
        yield from _objects(desired.get(section, {}))
    for dotted, module in _objects(agent):
        if match := re.fullmatch(r"properties\.desired\.modules\.([^.]+)", dotted):
            yield match[1], module


def _objects(section: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield name, value


def _chunks(name: str, options: Mapping[str, Any]) -> dict[str, str]:
    text = json.dumps(options, separators=(",", ":"), ensure_ascii=False)
    parts = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    if len(parts) > MAX_CHUNKS:
        raise SettingsError(
            f"create options of {name} have {len(text)} characters",
            hint=f"at most {CHUNK * MAX_CHUNKS} fit",
        )
    return {f"createOptions{n:02d}" if n else "createOptions": p for n, p in enumerate(parts)}


def _parsed(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except ValueError:
        return text
    return parsed
