"""JSON Merge Patch (RFC 7386), as the hub folds desired properties."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.errors import SettingsError
from visionedge.settings import merge

KEYS = st.sampled_from(["a", "b", "c", "kind"])
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.lists(st.none())
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8),
    max_size=4,
)


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The pseudo-code of RFC 7386, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge_patch(target.get(name), value)
    return target


@given(DOCUMENTS, DOCUMENTS)
def test_merge_is_what_the_rfc_says(base: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge(base, patch) == merge_patch(base, patch)


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_twice_is_a_patch_once(base: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge(base, patch)
    assert merge(once, patch) == once


@given(DOCUMENTS, DOCUMENTS)
def test_neither_side_is_changed(base: dict[str, Any], patch: dict[str, Any]) -> None:
    before = (repr(base), repr(patch))
    merge(base, patch)
    assert (repr(base), repr(patch)) == before


# The examples of RFC 7386, appendix A, that have objects on both sides.
@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_examples_of_the_rfc(
    base: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    assert merge(base, patch) == result


def test_a_patch_that_is_nested_without_end_is_refused() -> None:
    patch: dict[str, Any] = {}
    for _ in range(5000):
        patch = {"decision": patch}
    with pytest.raises(SettingsError, match="deeper than 16"):
        merge({}, patch)
