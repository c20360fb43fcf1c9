"""What the hub and the device refuse in a manifest, found before it is deployed.

Twins: 32 KB, texts of 4 KB, names without dots and the like, ten levels. A manifest is the
desired twin of edgeAgent, of edgeHub and of each module, so one with a long twin fails as a
whole. The size is that of compact JSON, a little more than the hub counts.

The environment and the twin of our own module are also read as settings, so a wrong field is
named here and not by a device at night.

Source: IoT Hub documentation, "Understand and use module twins"; Azure/iotedge,
`ReportedPropertiesValidator`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from visionedge.deployment import containers, images, routes
from visionedge.deployment.manifest import unpacked
from visionedge.deployment.own_settings import OwnSettings, environment
from visionedge.deployment.placeholders import Document
from visionedge.entities import Kind
from visionedge.settings import Settings

MODULE: Final = "visionedge"
MAX_TWIN_BYTES: Final = 32 * 1024
MAX_TEXT_BYTES: Final = 4096
MAX_NAME_BYTES: Final = 1024
MAX_DEPTH: Final = 10
MAX_MODULES: Final = 50
MAX_INTEGER: Final = 2**52
_DESIRED: Final = "properties.desired"
_MODULES: Final = f"modulesContent.$edgeAgent.{_DESIRED}.modules"
_BAD_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f .$#]")


def faults(manifest: Document) -> list[str]:
    """`path: what is wrong` of everything that would be refused.

    Args:
        manifest: final; that of a layered deployment laid onto its base.
    """
    contents = manifest.get("modulesContent")
    if not isinstance(contents, Mapping):
        return ["modulesContent: it is missing"]
    found: list[str] = []
    for module, sections in contents.items():
        desired = sections.get(_DESIRED) if isinstance(sections, Mapping) else None
        if isinstance(desired, Mapping):
            found += _twin(f"modulesContent.{module}.{_DESIRED}", desired)
        else:
            found.append(f"modulesContent.{module}: it has no {_DESIRED}")
    # With create options as objects again: they may hold variables too.
    contents = unpacked(manifest)["modulesContent"]
    found += _definitions(contents)
    own = _own(contents)
    return found + _routes(contents, own.settings) + _count(contents) + _settings(own)


def _twin(path: str, desired: Mapping[str, Any]) -> list[str]:
    size = len(json.dumps(desired, separators=(",", ":"), ensure_ascii=False).encode())
    found = list(_values(path, desired, depth=1))
    if size > MAX_TWIN_BYTES:
        found.append(f"{path}: {size} bytes, and a twin holds {MAX_TWIN_BYTES}")
    return found


def _values(path: str, value: object, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and depth > MAX_DEPTH + 1:
        yield f"{path}: nested deeper than {MAX_DEPTH} levels"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if _BAD_NAME.search(name) or len(name.encode()) > MAX_NAME_BYTES:
                yield f"{path}.{name[:80]}: a name in a twin has no space, `.`, `$` or `#`"
            yield from _values(f"{path}.{name}", inner, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _values(f"{path}[{index}]", inner, depth + 1)
    elif isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
        yield f"{path}: a whole number in a twin is within 2^52"
    elif isinstance(value, str) and len(value.encode()) > MAX_TEXT_BYTES:
        yield f"{path}: {len(value.encode())} bytes, and a text in a twin holds {MAX_TEXT_BYTES}"


def _definitions(contents: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for path, module in _containers(contents):
        found += containers.faults(path, module)
        settings = module.get("settings")
        image = settings.get("image") if isinstance(settings, Mapping) else None
        # Of a name that is not filled in yet nothing can be said.
        if isinstance(image, str) and "${" not in image and (fault := images.fault(image)):
            found.append(f"{path}.settings.image: {fault}")
    return found


def _containers(contents: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path and definition of every module, the system's too."""
    agent = contents.get("$edgeAgent", {}).get(_DESIRED, {})
    for section in ("systemModules", "modules"):
        for name, module in agent.get(section, {}).items():
            yield f"modulesContent.$edgeAgent.{_DESIRED}.{section}.{name}", module


def _routes(contents: Mapping[str, Any], settings: Settings | None) -> list[str]:
    """Routes that would lose messages silently, and the one that is owed."""
    path = f"modulesContent.$edgeHub.{_DESIRED}.routes"
    given = contents.get("$edgeHub", {}).get(_DESIRED, {}).get("routes", {})
    modules = _modules(contents)
    found = routes.faults(path, given, modules, MODULE)
    asks = MODULE in modules and settings is not None and _asks_the_hub(settings)
    if asks and not routes.takes(given, MODULE, Kind.ESCALATION):
        found.append(
            f"{path}: none takes the output `{Kind.ESCALATION}` of `{MODULE}`, so its doubts stay "
            f"on the device; add FROM /messages/modules/{MODULE}/outputs/{Kind.ESCALATION} INTO "
            "$upstream, or name the --base that has it"
        )
    return found


def _asks_the_hub(settings: Settings) -> bool:
    away = settings.direct.enabled or settings.uplink.kind == "local"
    return settings.escalation.enabled and not away


def _count(contents: Mapping[str, Any]) -> list[str]:
    count = len(_modules(contents))
    if count <= MAX_MODULES:
        return []
    return [f"modulesContent.$edgeAgent: {count} modules, and a device takes {MAX_MODULES}"]


def _settings(own: OwnSettings) -> list[str]:
    desired = f"modulesContent.{MODULE}.{_DESIRED}"
    env = f"{_MODULES}.{MODULE}.env"
    places = [(env, own.by_environment), (desired, own.by_twin)]
    return [
        f"{path}.{name}: {reason}" if name else f"{path}: {reason}"
        for path, told in places
        for name, reason in told
    ]


def _own(contents: Mapping[str, Any]) -> OwnSettings:
    desired = contents.get(MODULE, {}).get(_DESIRED)
    return OwnSettings(
        environment(_modules(contents).get(MODULE)), desired if isinstance(desired, Mapping) else {}
    )


def _modules(contents: Mapping[str, Any]) -> Mapping[str, Any]:
    found = contents.get("$edgeAgent", {}).get(_DESIRED, {}).get("modules", {})
    return found if isinstance(found, Mapping) else {}
