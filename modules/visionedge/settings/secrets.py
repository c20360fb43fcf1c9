"""References to secrets within settings: `${env:NAME}` and `${file:/run/secrets/NAME}`.

A twin is read by everybody who may read the hub, so a camera's password does not belong
there. A setting holds the reference; what it refers to is put in at the last moment, each
time the address is used, so a secret that was rotated acts at the next opening. What is put
in never goes back into the settings, so neither the twin, nor a log line, nor the file of
the last good settings can hold it.

Files are read below one folder only, where container runtimes mount secrets: a twin must
not be able to send any other file of the device to an address of its choice.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from visionedge.errors import SettingsError

SECRETS_FOLDER: Final = Path("/run/secrets")
_REFERENCE: Final = re.compile(r"\$\{(?P<kind>[a-z]*):?(?P<name>[^}]*)\}")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_MAX_BYTES: Final = 4096


def reveal(
    text: str, environment: Mapping[str, str] | None = None, folder: Path = SECRETS_FOLDER
) -> str:
    """`text` with its references replaced by what they refer to.

    Args:
        environment: None is that of the process.
        folder: where files may be.

    Raises:
        SettingsError: a reference is none of the two forms, or what it names is missing. It
            names the reference, never the secret.
    """
    known = os.environ if environment is None else environment

    def secret(found: re.Match[str]) -> str:
        kind, name = found["kind"], found["name"]
        if kind == "env" and _ENV_NAME.fullmatch(name):
            return _from_environment(name, known)
        path = Path(name)
        if kind == "file" and path.parent == folder and _FILE_NAME.fullmatch(path.name):
            return _from_file(path)
        raise SettingsError(
            f"`{found[0][:160]}` is no reference to a secret",
            hint=f"write ${{env:NAME}} or ${{file:{SECRETS_FOLDER}/NAME}}",
        )

    return _REFERENCE.sub(secret, text)


def missing_secrets(
    texts: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
    folder: Path = SECRETS_FOLDER,
) -> dict[str, str]:
    """Why each of `texts`, by its path in the settings, cannot be used; empty if all can."""
    return dict(_missing(texts, environment, folder))


def _missing(
    texts: Mapping[str, str], environment: Mapping[str, str] | None, folder: Path
) -> Iterator[tuple[str, str]]:
    for path, text in texts.items():
        try:
            reveal(text, environment, folder)
        except SettingsError as error:
            yield path, str(error)


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if not (secret := environment.get(name, "")):
        raise SettingsError(
            f"the environment variable {name} is not set",
            hint=f"set {name} in the module's createOptions, or mend the reference to it",
        )
    return secret


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            secret = file.read(_MAX_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"the secret {path} cannot be read: {why}",
            hint="mount it in the module's createOptions, or mend the reference to it",
        ) from None
    if not secret:
        raise SettingsError(f"the secret {path} is empty", hint="write the secret into it")
    return secret
