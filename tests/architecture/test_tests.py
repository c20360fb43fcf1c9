"""Tests wait for what happens, not for time to pass: a sleep is either too short or too long."""

import ast
from collections.abc import Iterator

import pytest
from tests.architecture.sources import Fault, Source, broken, dotted, imports, snippet, sources


def sleeps(source: Source) -> Iterator[Fault]:
    """Calls that sleep. `asyncio.sleep(0)` only gives way to others, and is fine."""
    for imported in imports(source):
        if imported.module in ("time", "asyncio") and "sleep" in imported.names:
            yield Fault(source.path, imported.line, "takes `sleep`: wait for an event instead")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("time.sleep", "asyncio.sleep"):
            gives_way = dotted(node.func) == "asyncio.sleep" and _is_zero(node.args)
            if not gives_way:
                yield Fault(source.path, node.lineno, "sleeps: wait for an event with a deadline")


def _is_zero(args: list[ast.expr]) -> bool:
    return len(args) == 1 and isinstance(args[0], ast.Constant) and args[0].value == 0


def test_no_test_sleeps() -> None:
    faults = broken(sleeps, sources("tests"))
    assert not faults, f"no sleep in tests; use events with deadlines, or FakeClock:\n{faults}"


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.sleep(0.1)",
        "from time import sleep",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0.1)",
    ],
)
def test_a_sleep_is_found(text: str) -> None:
    assert list(sleeps(snippet("tests.bad", text)))


def test_giving_way_is_not_sleeping() -> None:
    text = "import asyncio\nasync def f():\n    await asyncio.sleep(0)"
    assert not list(sleeps(snippet("tests.good", text)))
