"""The size and the names of things: small files, small functions, words of the field."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture.sources import Fault, Source, broken, snippet, sources, visionedge

MAX_FILE_LINES: Final = 450
MAX_FUNCTION_LINES: Final = 50
_EMPTY_WORDS: Final = {
    "manager", "helper", "helpers", "util", "utils", "data", "process", "common",
}  # fmt: skip
"""Words that name nothing: whatever is called so collects whatever has no place."""
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_EVERYWHERE: Final = ("modules", "tools", "cloud", "docs", "bench", "tests")


def long_files(source: Source) -> Iterator[Fault]:
    """Files over the cap."""
    lines = source.text.count("\n")
    if lines > MAX_FILE_LINES:
        yield Fault(source.path, lines, f"{lines} lines, the cap is {MAX_FILE_LINES}: split it")


def long_functions(source: Source) -> Iterator[Fault]:
    """Functions over the cap, their docstring not counted."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            if lines > MAX_FUNCTION_LINES:
                what = f"`{node.name}` has {lines} lines, the cap is {MAX_FUNCTION_LINES}"
                yield Fault(source.path, node.lineno, what)


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(node) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def undocumented(source: Source) -> Iterator[Fault]:
    """Files that do not say what they are."""
    if not ast.get_docstring(source.tree):
        yield Fault(source.path, 1, "no module docstring: say what it is, then why it is so")


def empty_names(source: Source) -> Iterator[Fault]:
    """Modules and classes named with a word that names nothing."""
    named = [(1, part) for part in source.module.split(".")]
    named += [
        (node.lineno, node.name) for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)
    ]
    for line, name in named:
        for word in _EMPTY_WORDS & {word.lower() for word in _WORD.findall(name)}:
            yield Fault(source.path, line, f"`{name}`: `{word}` says nothing, name what it is")


def test_files_are_small() -> None:
    faults = broken(long_files, sources(*_EVERYWHERE))
    assert not faults, f"one concept a file:\n{faults}"


def test_a_long_file_is_found() -> None:
    assert list(long_files(snippet("visionedge.bad", "\n" * (MAX_FILE_LINES + 1))))
    assert not list(long_files(snippet("visionedge.good", "\n" * MAX_FILE_LINES)))


def test_functions_are_small() -> None:
    faults = broken(long_functions, sources(*_EVERYWHERE))
    assert not faults, f"a function fits on a screen:\n{faults}"


@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_a_long_function_is_found(keyword: str) -> None:
    body = "    pass\n"
    bad = f"class A:\n  {keyword} f():\n" + body * MAX_FUNCTION_LINES
    assert list(long_functions(snippet("visionedge.bad", bad)))
    documented = f'{keyword} f():\n    """a\n{"b" * 3}\n"""\n' + body * (MAX_FUNCTION_LINES - 1)
    assert not list(long_functions(snippet("visionedge.good", documented)))


def test_every_file_says_what_it_is() -> None:
    faults = broken(undocumented, sources())
    assert not faults, f"a reader begins at the top:\n{faults}"
    assert list(undocumented(snippet("visionedge.bad", "x = 1")))
    assert list(undocumented(snippet("visionedge.bad", "")))


def test_names_say_what_a_thing_is() -> None:
    faults = broken(empty_names, sources(*_EVERYWHERE))
    assert not faults, f"words of the field only:\n{faults}"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("visionedge.cameras.utils", ""),
        ("visionedge.image_helpers", ""),
        ("visionedge.cameras.feed", "class CameraManager: ..."),
        ("visionedge.cameras.feed", "class _FrameData: ..."),
        ("visionedge.cameras.feed", "def f():\n    class HTTPProcess: ..."),
    ],
)
def test_an_empty_name_is_found(module: str, text: str) -> None:
    assert list(empty_names(snippet(module, text)))


def test_a_word_is_judged_whole() -> None:
    text = "class Metadata: ...\nclass Preprocess: ...\nclass Database: ..."
    assert not list(empty_names(snippet("visionedge.preprocess", text)))


def test_every_shape_rule_reads_real_files() -> None:
    assert len(visionedge()) > 20
    assert any(source.path.startswith("tests/") for source in sources(*_EVERYWHERE))
