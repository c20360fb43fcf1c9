"""Where settings come from, and how the sources become one validated tree."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from visionedge.errors import SettingsError
from visionedge.settings.tree import Settings

ENV_PREFIX: Final = "VISIONEDGE__"
Document = dict[str, Any]
"""A settings document as JSON gives it, before validation."""
DEFAULTS: Final[Document] = Settings().model_dump(mode="json")


def merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """`base` with `patch` laid over it; null removes a key (RFC 7386).

    One thing beyond the RFC: an entry whose `kind` changes begins anew, because the fields
    of the old kind mean nothing to the new one.
    """
    merged = {} if _changes_kind(base, patch) else dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            under = merged.get(key)
            merged[key] = merge(under if isinstance(under, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def _changes_kind(base: Mapping[str, Any], patch: Mapping[str, Any]) -> bool:
    return "kind" in patch and "kind" in base and base["kind"] != patch["kind"]


def resolve(layers: Iterable[Mapping[str, Any]]) -> Settings:
    """Validate the layers, laid over the defaults in their order.

    Raises:
        SettingsError: with a reason for each bad field; the settings in use stay.
    """
    document: Document = DEFAULTS
    for layer in layers:
        document = merge(document, layer)
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise _named(error) from None
    _check_references(settings)
    return settings


def _check_references(settings: Settings) -> None:
    missing = {
        f"cameras.{name}.model": f"there is no model `{camera.model}` in `models`"
        for name, camera in settings.cameras.items()
        if camera.model not in settings.models
    }
    if missing:
        raise _refused(missing)


def _named(error: ValidationError) -> SettingsError:
    fields: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False):
        # A discriminated union puts its tag into the path; people do not write it.
        path = [str(part) for part in item["loc"]]
        if len(path) > 2 and path[0] == "cameras":
            del path[2]
        fields.setdefault(".".join(path), item["msg"])
    return _refused(fields)


def _refused(fields: dict[str, str]) -> SettingsError:
    listed = "; ".join(f"{path}: {reason}" for path, reason in fields.items())
    return SettingsError(
        f"settings refused: {listed}",
        fields=fields,
        hint="docs/reference/settings.md lists every field with its range",
    )


def from_file(path: Path) -> Document:
    """Read a JSON settings file.

    Raises:
        SettingsError: the file cannot be read or is not a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}", hint="check --config"
        ) from None
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}", hint="check it with `jq .`") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{path} holds no JSON object", hint='begin it with "{"')
    return document


def from_environment(environment: Mapping[str, str]) -> Document:
    """The settings among the environment variables, such as VISIONEDGE__DECISION__ACCEPT=0.6.

    Values are read as JSON where they are JSON, else as text. Names of cameras and models
    are case-sensitive in the settings and lower case here.
    """
    document: Document = {}
    for name, text in environment.items():
        if not name.startswith(ENV_PREFIX):
            continue
        *path, leaf = name.removeprefix(ENV_PREFIX).lower().split("__")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        patch: Document = {leaf: value}
        for key in reversed(path):
            patch = {key: patch}
        document = merge(document, patch)
    return document
