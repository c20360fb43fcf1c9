"""What the how-to pages of the model tools show is what the commands print.

Each ```console block of a page is typed as it stands: a line that begins with `$ ` is run, the
lines below it are what must come. `...` on a line of its own stands for any number of lines,
and at the end of one for its rest. Words are compared as they are. Numbers may differ by a
little, because processors do; where a line speaks of ms, MB, or the run of a model, they are not
compared at all.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from docs.generate import ROOT

HOW_TO: Final = ROOT / "docs/how-to"
SHARED: Final = ROOT.parent / "shared"
PAGES: Final = ("inspect", "verify", "import", "predict", "evaluate", "quantize", "cascades")
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_SPEED: Final = re.compile(r"\b(ms|MB)\b|^(original|min-max|percentile|entropy)\b")
_ABOUT: Final = 0.02


def commands(page: str) -> list[tuple[str, list[str]]]:
    """The commands of a page, each with the lines that it shows."""
    found: list[tuple[str, list[str]]] = []
    for block in _BLOCK.findall((HOW_TO / f"{page}.md").read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found and found[-1][0].endswith("\\"):
                found[-1] = (f"{found[-1][0][:-1]}{line.strip()}", [])
            else:
                found[-1][1].append(line)
    return found


def is_same(shown: str, said: str) -> bool:
    """Whether a line says what the page shows, numbers aside that may differ."""
    if _words(shown) != _words(said):
        return False
    if _SPEED.search(shown):
        return True
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(said), strict=True)
    return all(abs(float(a) - float(b)) <= _ABOUT * max(1, abs(float(a))) for a, b in pairs)


def _words(line: str) -> list[str]:
    return _NUMBER.sub("#", line).split()


def difference(shown: list[str], said: list[str]) -> str:
    """The first line of the page that did not come; empty if all did."""
    if not shown:
        return f"and then came {said[0]!r}" if said else ""
    if shown[0].strip() == "...":
        rest = [difference(shown[1:], said[start:]) for start in range(len(said) + 1)]
        return "" if "" in rest else rest[0]
    if shown[0].endswith(" ...") and said and said[0].startswith(shown[0][:-3]):
        return difference(shown[1:], said[1:])
    if not said or not is_same(shown[0], said[0]):
        return f"{shown[0]!r} is shown, and {said[0] if said else 'nothing'!r} came"
    return difference(shown[1:], said[1:])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A place that looks like the project, in which the commands may write."""
    place = tmp_path / "project"
    place.mkdir()
    (place / "models").symlink_to(ROOT / "models")
    (tmp_path / "shared").symlink_to(SHARED)
    return place


def typed(command: str, place: Path) -> list[str]:
    """What a command prints, in the place of somebody who has installed the project."""
    home = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "TMPDIR": str(place.parent)}
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env=home | kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    return done.stdout.splitlines()


def test_lines_are_told_apart_but_for_numbers_that_may_differ() -> None:
    shown = ["a 0.905", "...", "run 7.1 ms", "end"]
    assert difference(shown, ["a 0.91", "b", "c", "run 19.2 ms", "end"]) == ""
    assert difference(shown, ["a 0.91", "run 7.1 ms", "end"]) == ""
    assert difference(shown, ["a 0.71", "run 7.1 ms", "end"]) != ""
    assert difference(shown, ["b 0.91", "run 7.1 ms", "end"]) != ""
    assert difference(shown, ["a 0.91", "run 7.1 ms", "end", "more"]) != ""
    assert difference(shown, ["a 0.91", "run 7.1 ms"]) != ""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_its_commands_print(page: str, project: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared models are not beside the project")
    shown = commands(page)
    assert shown, "a how-to page shows how to"
    for command, lines in shown:
        fault = difference(lines, typed(command, project))
        assert not fault, f"$ {command}\n{fault}"
