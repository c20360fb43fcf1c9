"""The installed Python distributions of a folder, as the licence check and the SBOM need them.

Read from the metadata that the installer left, not from the lock: what is described is what
is there. Standard library only, because it runs in the build stage of the images, where
nothing is installed but pip.

Not promised: that a package tells the truth. What its metadata leaves vague is made plain in
`licences`, by name, after its licence file was read.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

_LICENCE_FILE: Final = re.compile(r"(licen[cs]e|notice|copying|thirdparty)", re.IGNORECASE)
_CODE: Final = (".py", ".pyc", ".so", ".json")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Installed:
    """One distribution.

    Attributes:
        name: normalised as PEP 503 wants it: lower case, one hyphen.
        version: as installed.
        stated_licence: what its metadata says, in its own words; empty where it says nothing.
        requires: names of what it needs, extras aside.
        summary: one line.
        licence_files: relative to the folder it is installed in.
        native_files: shared objects, relative to the same folder.
    """

    name: str
    version: str
    stated_licence: str
    requires: tuple[str, ...]
    summary: str
    licence_files: tuple[Path, ...]
    native_files: tuple[Path, ...]


def normalised(name: str) -> str:
    """A distribution's name in the one spelling that can be compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(site: Path, extras: Iterable[str] = ()) -> list[Installed]:
    """All distributions below `site`, by name.

    Args:
        site: a `site-packages`, or what `pip install --target` filled.
        extras: whose requirements count as needed, of every distribution.
    """
    found = (_read(d, site, frozenset(extras)) for d in distributions(path=[str(site)]))
    return sorted(found, key=lambda each: each.name)


def of_project(file: Path, name: str, extra: str, site: Path) -> Installed:
    """An application that was copied into `site`, and not installed: no metadata tells of it.

    Args:
        file: the `pyproject.toml` that it is a part of.
        name: of its package.
        extra: the extra that it runs on.
        site: the folder that it was copied into.
    """
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"][extra]]
    files = sorted(path.relative_to(site) for path in (site / name).iterdir() if path.is_file())
    return Installed(
        name=normalised(name),
        version=project["version"],
        stated_licence=project["license"],
        requires=tuple(sorted(set(_required(requirements, frozenset())))),
        summary="",
        licence_files=tuple(path for path in files if _is_licence(path)),
        native_files=(),
    )


def _read(distribution: Distribution, site: Path, extras: frozenset[str]) -> Installed:
    metadata = distribution.metadata
    files = sorted(Path(str(file)) for file in distribution.files or ())
    there = [file for file in files if (site / file).is_file()]
    return Installed(
        name=normalised(metadata["Name"]),
        version=distribution.version,
        stated_licence=_stated_licence(distribution),
        requires=tuple(sorted(set(_required(distribution.requires or (), extras)))),
        summary=_first(distribution, "Summary"),
        licence_files=tuple(f for f in there if _is_licence(f)),
        native_files=tuple(f for f in there if re.search(r"\.so(\.|$)", f.name)),
    )


def _stated_licence(distribution: Distribution) -> str:
    """The expression (PEP 639), else the old field, else the classifiers."""
    for field in ("License-Expression", "License"):
        if text := _first(distribution, field):
            return text.splitlines()[0]
    classifiers = distribution.metadata.get_all("Classifier") or []
    named = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::")]
    return " AND ".join(named)


def _first(distribution: Distribution, field: str) -> str:
    """A field of the metadata; empty where it is not there."""
    return str((distribution.metadata.get_all(field) or [""])[0]).strip()


def _required(requirements: Iterable[str], extras: frozenset[str]) -> Iterable[str]:
    for requirement in requirements:
        text, _, marker = requirement.partition(";")
        asked = re.findall(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        name = _NAME.match(text.strip())
        if name and (not asked or extras & set(asked)):
            yield normalised(name.group())


def _is_licence(file: Path) -> bool:
    return bool(_LICENCE_FILE.search(file.name)) and file.suffix not in _CODE
