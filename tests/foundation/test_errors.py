"""The drawing in errors.py is what people read at 3 a.m.: it must be the truth."""

import inspect
import re
from typing import Final

import pytest

from visionedge import errors
from visionedge.errors import SettingsError, VerifierBusy, VisionEdgeError

_LINE: Final = re.compile(r"^(?P<lead>[ │├└─]*)(?P<name>[A-Z]\w+)(?:\s+(?P<rest>.*))?$")


def drawn() -> dict[str, tuple[str, int | None]]:
    """Name to (name of the parent, exit code where one is drawn), as the docstring shows it."""
    tree: dict[str, tuple[str, int | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").partition("The vendors'")[0].splitlines():
        found = _LINE.match(line)
        if line.startswith("    ") and found:
            depth = len(found["lead"])
            above = [(d, name) for d, name in above if d < depth]
            code = re.match(r"\d+", found["rest"] or "")
            parent = above[-1][1] if above else "Exception"
            tree[found["name"]] = (parent, int(code.group()) if code else None)
            above.append((depth, found["name"]))
    return tree


def defined() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }


def branches() -> list[type[VisionEdgeError]]:
    """Of the tree itself: who imports it may add errors of their own below it."""
    return [e for e in VisionEdgeError.__subclasses__() if e.__module__ == errors.__name__]


def test_the_drawing_shows_every_error_under_its_parent() -> None:
    parents = {name: parent for name, (parent, _) in drawn().items()}
    assert parents == {name: error.__bases__[0].__name__ for name, error in defined().items()}


def test_the_drawing_shows_the_exit_codes() -> None:
    codes = {name: code for name, (_, code) in drawn().items() if code is not None}
    assert codes == {e.__name__: e.exit_code for e in branches()}


def test_each_branch_ends_the_process_with_its_own_code() -> None:
    codes = [branch.exit_code for branch in branches()]
    taken = [errors.EXIT_OK, errors.EXIT_UNEXPECTED, errors.EXIT_STUCK]
    assert len({*codes, *taken}) == len(codes) + len(taken)
    # 128 and more are read as signals by shells and docker.
    assert all(0 <= code < 128 for code in (*codes, *taken))


def test_an_error_says_what_happened_and_what_to_do() -> None:
    assert str(VisionEdgeError("the door is shut", hint="knock")) == "the door is shut (knock)"
    assert str(VisionEdgeError("the door is shut")) == "the door is shut"


def test_a_settings_error_carries_a_reason_for_each_field() -> None:
    error = SettingsError("refused", fields={"decision.accept": "too large"})
    assert error.fields == {"decision.accept": "too large"}
    assert SettingsError("refused").fields == {}


def test_a_busy_verifier_says_when_to_ask_again() -> None:
    with pytest.raises(VerifierBusy) as caught:
        raise VerifierBusy("throttled", retry_after_s=2.5)
    assert caught.value.retry_after_s == 2.5
