"""The settings that a manifest gives our module: by its environment, and by its twin.

The environment counts alone first, because the module starts by it before it knows its twin: a
fault there ends it with 2, and edgeAgent starts it again for ever. A fault of the twin is
answered in the twin, and the settings in use stay.

Not promised: what only the device knows, such as the variables of another image or what
`${env:NAME}` refers to; such references are left alone.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from visionedge.errors import SettingsError
from visionedge.settings import ENV_PREFIX, Settings, from_environment, resolve


class OwnSettings:
    """What comes of an environment and a twin.

    Args:
        environment: of the module, by name.
        desired: its twin; empty where the manifest has none.

    Attributes:
        settings: None where there is a fault.
        by_environment: variable and what is wrong with it, for each fault.
        by_twin: field and what is wrong with it, for each fault.
    """

    def __init__(self, environment: Mapping[str, str], desired: Mapping[str, Any]) -> None:
        self.settings: Settings | None = None
        self.by_environment: list[tuple[str, str]] = []
        self.by_twin: list[tuple[str, str]] = []
        try:
            layer = from_environment(environment)
        except SettingsError as error:
            layer = {}
            self.by_environment = [*_fields(error).items()]
        told: dict[str, str] = {}
        try:
            resolve([layer])
        except SettingsError as error:
            told = _fields(error)
            self.by_environment += [
                (_variable(field, environment), f"{field}: {reason}" if field else reason)
                for field, reason in told.items()
            ]
        try:
            self.settings = resolve([layer, desired])
        except SettingsError as error:
            self.by_twin = [each for each in _fields(error).items() if each[0] not in told]
        if self.by_environment:
            self.settings = None


def environment(module: object) -> dict[str, str]:
    """The variables that edgeAgent gives a module: `env`, over `Env` of its create options."""
    found: dict[str, str] = {}
    if not isinstance(module, Mapping):
        return found
    settings = module.get("settings")
    options = settings.get("createOptions") if isinstance(settings, Mapping) else None
    listed = options.get("Env") if isinstance(options, Mapping) else None
    for each in listed if isinstance(listed, list) else []:
        name, equals, text = str(each).partition("=")
        if equals:
            found[name] = text
    return {**found, **dict(_variables(module.get("env")))}


def _variables(env: object) -> Iterator[tuple[str, str]]:
    for name, each in env.items() if isinstance(env, Mapping) else ():
        value = each.get("value") if isinstance(each, Mapping) else None
        if isinstance(value, str | int | float):
            # edgeAgent makes a text of it, as JSON writes it.
            yield name, value if isinstance(value, str) else json.dumps(value)


def _fields(error: SettingsError) -> dict[str, str]:
    return dict(error.fields) or {"": str(error)}


_SEPARATOR: Final = "__"


def _variable(field: str, environment: Mapping[str, str]) -> str:
    """The variable that gives `field`, or what holds it, or a part of it; empty where none does."""
    paths = {
        name: name.removeprefix(ENV_PREFIX).lower().replace(_SEPARATOR, ".")
        for name in environment
        if name.startswith(ENV_PREFIX)
    }
    holds = [name for name, path in paths.items() if f"{field}.".startswith(f"{path}.")]
    parts = [name for name, path in paths.items() if path.startswith(f"{field}.")]
    return max(holds, key=len, default="") or min(parts, default="")
