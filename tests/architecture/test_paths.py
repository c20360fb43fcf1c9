"""What is committed runs on any machine: no file names a folder of the one it was made on."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.architecture.sources import ROOT, Fault

_SKIPPED_FOLDERS: Final = {
    ".git", ".venv", ".venv-audit", ".venv-train", ".mypy_cache", ".ruff_cache", ".pytest_cache",
    ".hypothesis", "__pycache__", "run", "out", "build", "dist", "golden", ".azurite",
}  # fmt: skip
_MAX_BYTES: Final = 1_000_000
# A folder at the root of the file system, so not the middle of an address or longer path.
_MACHINE_PATH: Final = re.compile(r"(?<![\w.}~/-])/(?:work|root|home/[a-z]+)/[\w.]")


def machine_paths(path: str, text: str) -> Iterator[Fault]:
    """Lines that name a folder of one machine."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _MACHINE_PATH.search(line):
            yield Fault(path, number, f"`{found.group()}...` is a folder of one machine")


def text_files() -> Iterator[tuple[str, str]]:
    """Every text file of the project that could be committed, by its path from the root."""
    pending = [ROOT]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            if path == ROOT / ".git":
                continue  # a file, in a work tree beside the clone
            if path.is_dir():
                if path.name not in _SKIPPED_FOLDERS and not path.name.endswith(".egg-info"):
                    pending.append(path)
            elif path.stat().st_size <= _MAX_BYTES and (text := _decoded(path)) is not None:
                yield path.relative_to(ROOT).as_posix(), text


def _decoded(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_file_names_a_folder_of_one_machine() -> None:
    faults = [str(fault) for path, text in text_files() for fault in machine_paths(path, text)]
    assert not faults, "paths are relative, or settings:\n" + "\n".join(faults)


@pytest.mark.parametrize("folder", ["work", "root", "home/ann"])
def test_a_machine_path_is_found(folder: str) -> None:
    assert list(machine_paths("bad.md", f"see /{folder}/project/file"))
    assert not list(machine_paths("good.md", f"see https://example.com/{folder}/project"))


def test_the_rule_reads_docs_and_manifests_too() -> None:
    assert {"Makefile", "pyproject.toml", "modules/visionedge/wire.py"} <= dict(text_files()).keys()
