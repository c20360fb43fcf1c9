"""The `${NAME}` of a template, and the env file that says what they stand for.

The notation is that of the Azure IoT Edge tools, so a template can be opened in an editor
that knows it. A name without a value is an error that tells every missing name and where
it is used, never an empty text: an empty password would deploy, and fail on the device.

`${env:NAME}` and `${file:...}` are left as they are: those are put in on the device, by the
module itself (`settings.secrets`), and so never come to the hub.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.errors import SettingsError

Document = dict[str, Any]
_PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)")
_COMMENT: Final = re.compile(r"(?:^|\s)#")
_MAX_BYTES: Final = 1024**2


def read_json(path: Path) -> Document:
    """A manifest or template.

    Raises:
        SettingsError: it cannot be read, or is no JSON object.
    """
    text = _read(path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not JSON: {error}", hint="mend it there") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{path} holds no JSON object", hint='begin it with "{"')
    return document


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=VALUE lines, as Docker and the Azure tools read them; `#` begins a comment line.

    A `#` behind a value is a comment to some of those tools and a part of the value to others,
    so it is refused unless the value is in quotes.

    Raises:
        SettingsError: it cannot be read, or a line is none of these; the line's number is told, its
            text is not, for it may hold a secret.
    """
    found = {}
    for number, line in enumerate(_read(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise SettingsError(f"{path}:{number} is not NAME=VALUE", hint="mend that line")
        if _COMMENT.search(match[2]) and _unquoted(match[2]) == match[2]:
            raise SettingsError(
                f"{path}:{number} has a `#` behind its value",
                hint="give a comment a line of its own, or put the value into quotes",
            )
        found[match[1]] = _unquoted(match[2])
    return found


def filled(document: Document, values: Mapping[str, str]) -> Document:
    """`document` with each placeholder replaced.

    Raises:
        SettingsError: names have no value, or an empty one; `fields` tells where each is used.
    """
    missing = [(path, name) for path, name in _placeholders(document, "") if not values.get(name)]
    if missing:
        names = ", ".join(sorted({name for _, name in missing}))
        fields: dict[str, str] = {}
        for path, name in missing:
            fields[path] = f"{fields[path]}, {name}" if path in fields else name
        places = "; ".join(f"{each} at {path}" for path, each in fields.items())
        raise SettingsError(
            f"no value for {names}: {places}",
            fields=fields,
            hint="put them into the env file, or into the environment",
        )
    return replaced(document, values)


def replaced(document: Document, values: Mapping[str, str]) -> Document:
    """`document` with those placeholders replaced that have a value; the others stay."""
    return {key: _replaced(value, values) for key, value in document.items()}


def texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every text in a document."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value


def _placeholders(value: object, path: str) -> Iterator[tuple[str, str]]:
    for place, text in texts(value, path):
        for name in _PLACEHOLDER.findall(text):
            yield place, name


# Any: JSON.
def _replaced(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {key: _replaced(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, values) for inner in value]
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), value)
    return value


def _unquoted(text: str) -> str:
    for quote in ('"', "'"):
        if len(text) >= 2 and text[0] == text[-1] == quote:
            return text[1:-1]
    return text


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}", hint="check the path"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text", hint="check the path") from None
    if len(text) > _MAX_BYTES:
        raise SettingsError(f"{path} is larger than 1 MiB", hint="check the path")
    return text
