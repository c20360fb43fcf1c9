"""Pages do not point at what is not there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docs.generate import ROOT

_LINK: Final = re.compile(r"\[[^\]]*\]\((?!https?://|mailto:)([^)\s]+)\)")
_PATH: Final = re.compile(r"`((?:modules|tools|docs|tests|cloud|models|bench)/[\w./-]+)`")


def pages() -> list[Path]:
    """Every page that people read."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Links to files, and headings within them, that do not exist."""
    for link in _LINK.findall(text):
        name, _, heading = link.partition("#")
        target = page if not name else page.parent / name
        if not target.exists():
            yield f"{page.name}: {link}: no such file"
        elif heading and heading not in headings(target.read_text(encoding="utf-8")):
            yield f"{page.name}: {link}: no such heading"


def dead_paths(page: Path, text: str) -> Iterator[str]:
    """Paths from the root, in code type, that do not exist."""
    for path in _PATH.findall(text):
        if not (ROOT / path).exists():
            yield f"{page.name}: {path}: no such file"


def headings(text: str) -> set[str]:
    """Anchors as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere() -> None:
    dead = [d for page in pages() for d in dead_links(page, page.read_text(encoding="utf-8"))]
    assert not dead, "\n".join(dead)


def test_paths_in_the_text_exist() -> None:
    dead = [d for page in pages() for d in dead_paths(page, page.read_text(encoding="utf-8"))]
    assert not dead, "\n".join(dead)


def test_a_dead_link_and_a_dead_path_are_found() -> None:
    page = ROOT / "README.md"
    text = "[a](nowhere.md) [b](LICENSE) [c](#nowhere) [d](https://example.com) `modules/no.py`"
    assert len(list(dead_links(page, text))) == 2
    assert len(list(dead_paths(page, text))) == 1
