"""Where settings come from, and how the sources become one validated tree."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from visionedge.errors import SettingsError
from visionedge.refusals import reason
from visionedge.settings.tree import Settings

log: Final = logging.getLogger(__name__)
ENV_PREFIX: Final = "VISIONEDGE__"
Document = dict[str, Any]
"""A settings document as JSON gives it, before validation."""
DEFAULTS: Final[Document] = Settings().model_dump(mode="json")
_MAX_DEPTH: Final = 16
_MAX_FILE_BYTES: Final = 1024**2
_MAX_NAME: Final = 200
_MAX_LISTED: Final = 20


class _Word(str):
    """A word of the environment, which has nothing else: it may stand for a number or a switch."""

    __slots__ = ()


def merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """`base` with `patch` laid over it; null removes a key (RFC 7386), as the hub itself does.

    Raises:
        SettingsError: nested deeper than any setting is.
    """
    return _laid_over(base, patch, keep_null=False)


def _laid_over(
    base: Mapping[str, Any],
    patch: Mapping[str, Any],
    *,
    keep_null: bool,
    path: tuple[str, ...] = (),
) -> Document:
    if len(path) > _MAX_DEPTH:
        raise _refused({_dotted(path): f"is nested deeper than {_MAX_DEPTH} levels"})
    merged = dict(base)
    for key, value in patch.items():
        if isinstance(value, Mapping):
            under = merged.get(key)
            under = under if isinstance(under, Mapping) else {}
            merged[key] = _laid_over(under, value, keep_null=keep_null, path=(*path, key))
        elif value is None and not keep_null:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def resolve(layers: Iterable[Mapping[str, Any]]) -> Settings:
    """Validate the layers, laid over the defaults in their order.

    Two things go beyond a plain merge. A camera whose `kind` changes from one layer to the
    next begins anew, because the fields of the old kind mean nothing to the new one. And
    the default camera is there only until another is named: a twin cannot remove it,
    because the hub keeps no nulls.

    Raises:
        SettingsError: with a reason for each bad field; the settings in use stay.
    """
    settings, mistaken = _validated(layers)
    if mistaken:
        raise _refused(mistaken)
    _check_references(settings)
    return settings


def resolve_kept(layers: Iterable[Mapping[str, Any]], kept: Mapping[str, Any]) -> Settings:
    """As `resolve`, with what the hub last said and was taken laid over the layers.

    An earlier release may have taken a word for a number. A device that starts without its hub
    after an upgrade must not lose its cameras to that, so here it is a warning.

    Raises:
        SettingsError: as `resolve`, for all else.
    """
    settings, mistaken = _validated([*layers, kept])
    _check_references(settings)
    if mistaken:
        log.warning(
            "the last good settings are used as an earlier release took them; mend them in the "
            "twin, where they are refused now: %s",
            _listed(mistaken),
        )
    return settings


def _validated(layers: Iterable[Mapping[str, Any]]) -> tuple[Settings, dict[str, str]]:
    """Settings, and what in the layers was taken for something else, with the reason."""
    given = list(layers)
    document: Document = _without_default_cameras(given)
    for layer in given:
        document = merge(_without_changed_cameras(document, layer), layer)
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise _named(error) from None
    return settings, dict(_mistaken(document, settings.model_dump(mode="json")))


def _without_default_cameras(layers: list[Mapping[str, Any]]) -> Document:
    named = {
        name for layer in layers for name, camera in _cameras(layer).items() if camera is not None
    }
    defaults = _cameras(DEFAULTS)
    if not named or named & defaults.keys():
        return DEFAULTS
    return {**DEFAULTS, "cameras": {}}


def _without_changed_cameras(document: Document, layer: Mapping[str, Any]) -> Document:
    if not isinstance(document.get("cameras", {}), Mapping):
        # Not to be mended by chance: it is told as what it is.
        return document
    patches = _cameras(layer)
    kept = {
        name: camera
        for name, camera in _cameras(document).items()
        if not _changes_kind(camera, patches.get(name))
    }
    return {**document, "cameras": kept}


def _changes_kind(camera: object, patch: object) -> bool:
    if not isinstance(camera, Mapping) or not isinstance(patch, Mapping):
        return False
    return "kind" in patch and patch["kind"] not in (None, camera.get("kind"))


def _cameras(document: Mapping[str, Any]) -> Mapping[str, Any]:
    cameras = document.get("cameras")
    return cameras if isinstance(cameras, Mapping) else {}


def _mistaken(given: Any, taken: Any, *path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """What pydantic took for something else, such as true for 1; by path, with the reason.

    Its own strictness would refuse lists for tuples and 1e6 for a million as well, and the words
    of the environment.
    """
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        for key, value in given.items():
            yield from _mistaken(value, taken.get(key), *path, key)
    elif isinstance(given, list) and isinstance(taken, list):
        for number, value in enumerate(given[: len(taken)]):
            yield from _mistaken(value, taken[number], *path, str(number))
    elif isinstance(given, str) and isinstance(taken, int | float):
        if not isinstance(given, _Word):
            needed = "true or false" if isinstance(taken, bool) else "a number"
            yield _dotted(path), f"must be {needed}, without quotes"
    elif isinstance(given, bool) and not isinstance(taken, bool) and isinstance(taken, int | float):
        yield _dotted(path), f"must be a number, not {str(given).lower()}"


def _check_references(settings: Settings) -> None:
    missing = {
        f"cameras.{name}.model": f"there is no model `{camera.model}` in `models`"
        for name, camera in settings.cameras.items()
        if camera.model not in settings.models
    }
    missing |= {
        f"models.{name}.then.model": reason
        for name in settings.models
        if (reason := _broken_cascade(settings, name))
    }
    second = settings.escalation.second.model
    if second and second not in settings.models:
        missing["escalation.second.model"] = f"there is no model `{second}` in `models`"
    if missing:
        raise _refused(missing)


def _broken_cascade(settings: Settings, name: str) -> str:
    """Why a model cannot be followed by the one it names; empty if it can, or names none."""
    then = settings.models[name].then
    if then is None:
        return ""
    second = settings.models.get(then.model)
    if second is None:
        return f"there is no model `{then.model}` in `models`"
    if then.model == name or (second.then and second.then.model == name):
        return f"`{name}` and `{then.model}` follow each other for ever: a cascade ends"
    if second.then is not None:
        return f"`{then.model}` names a model that follows as well: a cascade has two models"
    return ""


def _named(error: ValidationError) -> SettingsError:
    fields: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False):
        path = [str(part) for part in item["loc"]]
        # A discriminated union puts its tag into the path; people do not write it.
        if len(path) > 2 and path[0] == "cameras":
            del path[2]
        if path[-1:] == ["[key]"]:
            del path[-1]
        fields.setdefault(_dotted(path), reason(item, Settings))
    return _refused(fields)


def _dotted(path: Sequence[str]) -> str:
    name = ".".join(path)
    return name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}..."


def _listed(fields: dict[str, str]) -> str:
    listed = [f"{path or 'a name'}: {reason}" for path, reason in fields.items()]
    if len(listed) > _MAX_LISTED:
        listed[_MAX_LISTED:] = [f"and {len(listed) - _MAX_LISTED} more"]
    return "; ".join(listed)


def _refused(fields: dict[str, str]) -> SettingsError:
    return SettingsError(
        f"settings refused: {_listed(fields)}",
        fields=fields,
        hint="docs/reference/settings.md lists every field with its range",
    )


def from_file(path: Path) -> Document:
    """Read a JSON settings file.

    Raises:
        SettingsError: the file cannot be read, is larger than 1 MiB, or is not a JSON object.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}", hint="check --config"
        ) from None
    if len(text) > _MAX_FILE_BYTES:
        raise SettingsError(f"{path} is larger than 1 MiB", hint="check --config")
    try:
        document = json.loads(text)
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply", hint="check --config") from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is no text: byte {error.start + 1} is not UTF-8", hint="save it as UTF-8"
        ) from None
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}", hint="check it with `jq .`") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{path} holds no JSON object", hint='begin it with "{"')
    return document


def from_environment(environment: Mapping[str, str]) -> Document:
    """The settings among the environment variables, such as VISIONEDGE__DECISION__ACCEPT=0.6.

    Values are read as JSON where they are JSON, else as text; `null` removes. Names of
    cameras and models are case-sensitive in the settings and lower case here. Where a
    section is given whole and in parts, the parts win.

    Raises:
        SettingsError: a variable's name has an empty part.
    """
    document: Document = {}
    # By name, so that a section comes before its fields and the order is always the same.
    for name, text in sorted(environment.items()):
        if name.startswith(ENV_PREFIX):
            path = name.removeprefix(ENV_PREFIX).lower().split("__")
            if not all(path):
                raise SettingsError(
                    f"the environment variable {name} names no setting",
                    fields={name: "names no setting"},
                    hint=f"write {ENV_PREFIX}SECTION__FIELD",
                )
            document = _laid_over(document, _nested(path, text), keep_null=True)
    return document


def _nested(path: list[str], text: str) -> Document:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _Word(text)
    for key in reversed(path):
        value = {key: value}
    return cast("Document", value)
