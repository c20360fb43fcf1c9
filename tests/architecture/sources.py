"""The project's Python files as the architecture rules see them: parsed, never imported.

A rule is a function from a `Source` to its faults. It is run over the real tree, and over
a few lines that break it, so that a rule which finds nothing is known to be able to find.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_ON_THE_PATH: Final = ("modules", "tools", "cloud")
_PRODUCT: Final = ("modules", "tools", "cloud", "docs", "bench", "deploy")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: `path` from the project root, `module` as others import it."""

    path: str
    module: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, self.path)

    def is_in(self, *modules: str) -> bool:
        """True for one of `modules` or anything below it."""
        return any(self.module == m or self.module.startswith(f"{m}.") for m in modules)


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where a rule is broken."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, in full, with the names taken from it."""

    module: str
    line: int
    names: tuple[str, ...] = ()

    def is_from(self, package: str) -> bool:
        """True for `package`, what is below it, and names taken from it."""
        targets = (self.module, *(f"{self.module}.{name}" for name in self.names))
        return any(t == package or t.startswith(f"{package}.") for t in targets)


Rule = Callable[[Source], Iterable[Fault]]


def snippet(module: str, text: str) -> Source:
    """A few lines of source, as if they were the file of `module`."""
    return Source(f"modules/{module.replace('.', '/')}.py", module, text)


@cache
def sources(*tops: str) -> tuple[Source, ...]:
    """Every Python file below the given folders of the project, or below all of the product."""
    files = (path for top in tops or _PRODUCT for path in sorted((ROOT / top).rglob("*.py")))
    return tuple(_read(path) for path in files)


def visionedge() -> tuple[Source, ...]:
    """Every file of the edge module."""
    return sources("modules/visionedge")


def broken(rule: Rule, files: Iterable[Source]) -> str:
    """The faults of `rule` over `files`, one a line; empty where it holds."""
    return "\n".join(str(fault) for source in files for fault in rule(source))


def imports(source: Source) -> Iterator[Import]:
    """Every import of a file, wherever it stands, those for type checkers and by name too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.module or "", node.lineno, tuple(a.name for a in node.names))
        elif isinstance(node, ast.Call) and dotted(node.func).endswith("import_module"):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield Import(name.value, node.lineno)


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of names and attributes, else empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def _read(path: Path) -> Source:
    relative = path.relative_to(ROOT)
    parts = list(relative.with_suffix("").parts)
    if parts[0] in _ON_THE_PATH:
        del parts[0]
    if parts[-1] == "__init__":
        del parts[-1]
    return Source(relative.as_posix(), ".".join(parts), path.read_text(encoding="utf-8"))
