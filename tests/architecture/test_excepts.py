"""Broad excepts only where something must outlive anything: elsewhere they hide bugs.

One that ends in a bare `raise` cleans up and hides nothing, so it may stand anywhere.
"""

import ast
from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture.sources import Fault, Source, broken, dotted, snippet, sources, visionedge

HOMES: Final = (
    "verifier.hosts.intake",
    "visionedge.runtime.log_repeats",
    "visionedge.runtime.worker",
    "visionedge.uplink.azure_hub",
    "visionedge.__main__",
)
_BROAD: Final = {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}


def broad_excepts(source: Source) -> Iterator[Fault]:
    """`except:`, `except Exception` and `suppress(Exception)` outside their homes."""
    if source.module in HOMES:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler | ast.Call) and _catches_all(node):
            yield Fault(source.path, node.lineno, "catches everything: name what you expect")


def _catches_all(node: ast.ExceptHandler | ast.Call) -> bool:
    if isinstance(node, ast.ExceptHandler):
        last = node.body[-1]
        raised_again = isinstance(last, ast.Raise) and last.exc is None
        return (node.type is None or _is_broad(node.type)) and not raised_again
    return dotted(node.func).endswith("suppress") and any(map(_is_broad, node.args))


def _is_broad(caught: ast.expr) -> bool:
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(dotted(part) in _BROAD for part in parts)


def test_nothing_catches_everything() -> None:
    faults = broken(broad_excepts, (*visionedge(), *sources("cloud")))
    assert not faults, f"broad excepts live in {', '.join(HOMES)} only:\n{faults}"


@pytest.mark.parametrize(
    "text",
    [
        "try: f()\nexcept: pass",
        "try: f()\nexcept Exception as error: print(error)",
        "try: f()\nexcept (OSError, BaseException): pass",
        "try: f()\nexcept* Exception: pass",
        "try: f()\nexcept Exception:\n    if g(): raise",
        "try: f()\nexcept Exception as error: raise ValueError from error",
        "import contextlib\nwith contextlib.suppress(Exception): f()",
    ],
)
def test_a_broad_except_is_found(text: str) -> None:
    assert list(broad_excepts(snippet("visionedge.cameras.bad", text)))
    assert not list(broad_excepts(snippet("visionedge.runtime.worker", text)))


def test_a_broad_except_that_cleans_up_and_raises_again_is_fine() -> None:
    text = "try: f()\nexcept BaseException:\n    g()\n    raise"
    assert not list(broad_excepts(snippet("visionedge.uplink.good", text)))


def test_a_named_except_is_fine() -> None:
    text = "try: f()\nexcept (OSError, ValueError): pass\ncontextlib.suppress(KeyError)"
    assert not list(broad_excepts(snippet("visionedge.cameras.good", text)))
