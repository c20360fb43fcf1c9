"""Tables and the head of a generated page."""

from collections.abc import Iterable, Sequence
from typing import Final

from docs.generators.fields import Row

NOTICE: Final = "<!-- Made by `make generate`; edit the source it names, not this page. -->"
_HEAD: Final = ("Field", "Type", "Range", "Default", "What it is")


def page(title: str, source: str, *parts: str) -> str:
    """A whole page: title, where it comes from, and its parts."""
    head = f"# {title}\n\n{NOTICE}\n\nMade from `{source}`."
    return "\n\n".join([head, *(part.strip("\n") for part in parts)]) + "\n"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; bars within its cells are escaped."""
    written = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in written)


def field_table(rows: Iterable[Row]) -> str:
    """The fields of a schema as a table."""
    return table(_HEAD, ([f"`{r.path}`", r.type, r.range, r.default, r.description] for r in rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
