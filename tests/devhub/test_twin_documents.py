"""Twins merge, differ and validate as IoT Hub and edgeHub do."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhub.reported_rules import ReportRefused, parse_report
from devhub.twin import Twin, difference, merge, to_json

_LEAVES = st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.text(max_size=3)
_DOCUMENTS = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), _LEAVES, max_size=4),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), _LEAVES | inner, max_size=4),
    max_leaves=12,
)


def report(patch: object, reported: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the hub makes of a module's patch."""
    return parse_report(json.dumps(patch).encode(), reported or {})


def nested(depth: int) -> dict[str, Any]:
    """A document with so many objects below its root."""
    document: dict[str, Any] = {"leaf": 1}
    for _ in range(depth):
        document = {"o": document}
    return document


@pytest.mark.parametrize(
    ("document", "patch", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": {"c": None, "d": 1}}}, {"a": {"b": {"d": 1}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({}, {"a": None}, {}),
    ],
)
def test_merge_follows_rfc_7396(
    document: dict[str, Any], patch: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert merge(document, patch) == merged


@given(_DOCUMENTS, _DOCUMENTS)
def test_a_difference_turns_one_document_into_the_other(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before = copy.deepcopy(old)
    assert to_json(merge(old, difference(old, new))) != b""
    assert merge(old, difference(old, new)) == new
    assert old == before
    assert difference(new, new) == {}


def test_a_difference_tells_true_from_1() -> None:
    assert difference({"a": 1}, {"a": True}) == {"a": True}


def test_the_edge_has_its_own_copy_until_it_syncs() -> None:
    twin = Twin()
    assert twin.patch_desired({"a": 1}) == 2
    assert twin.patch_desired({"a": None, "b": 1}) == 3
    assert twin.document()["desired"] == {"$version": 1}
    assert [patch.version for patch in twin.sync()] == [2, 3]
    assert twin.document()["desired"] == {"b": 1, "$version": 3}
    assert twin.sync() == []


def test_a_desired_property_that_is_no_json_changes_nothing() -> None:
    twin = Twin()
    for bad in (float("nan"), {1, 2}):
        with pytest.raises((TypeError, ValueError)):
            twin.patch_desired({"a": bad})
    assert (twin.desired, twin.desired_version) == ({}, 1)


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"a": None},
        nested(10),
        {"n" * 1024: "v" * 4096},
        {"max": 2**52, "min": -(2**52), "float": 1e300, "yes": True},
        {"list": [1, "a", {"b": [True]}]},
        {"half": "\ud800"},
        {"größe": "ü" * 2048},
    ],
)
def test_a_report_within_the_rules_is_taken(patch: dict[str, Any]) -> None:
    assert report(patch) == patch


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ([], "no JSON object"),
        ("text", "no JSON object"),
        (nested(11), "nested deeper than 10"),
        ({"l": [nested(10)]}, "nested deeper than 10"),
        ({"n" * 1025: 1}, "name over 1024"),
        ({"o": {"a.b": 1}}, r"o\.a\.b: a name must not contain '\.'"),
        ({"a b": 1}, "must not contain ' '"),
        ({"$version": 1}, r"must not contain '\$'"),
        ({"a#": 1}, "must not contain '#'"),
        ({"a\n": 1}, r"must not contain '\\n'"),
        ({"a\x7f": 1}, "must not contain"),
        ({"s": "v" * 4097}, "s: a string over 4096"),
        ({"s": "ü" * 2049}, "s: a string over 4096"),
        ({"l": ["v" * 4097]}, r"l\[0\]: a string over 4096"),
        ({"i": 2**52 + 1}, "i: an integer outside"),
        ({"i": -(2**52) - 1}, "i: an integer outside"),
        ({"l": [1, None]}, r"l\[1\]: null inside an array"),
        ({"l": [{"x": [None]}]}, r"l\[0\].x\[0\]: null inside an array"),
        ({"a\ud800": "v" * 4094 + "\ud800", "b": float("inf")}, "no JSON"),
        ({f"k{n}": "v" * 4000 for n in range(9)}, "32768 is the limit"),
    ],
)
def test_a_report_against_the_rules_is_refused_with_its_path(patch: object, reason: str) -> None:
    with pytest.raises(ReportRefused, match=reason):
        report(patch)


def test_small_reports_cannot_add_up_to_more_than_fits() -> None:
    reported = {f"k{n}": "v" * 4000 for n in range(8)}
    with pytest.raises(ReportRefused, match="all reported properties"):
        report({"one": "v" * 2000}, reported)
    assert report({"k0": None}, reported) == {"k0": None}


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1e999}', b"[" * 9_000]
)
def test_a_report_that_is_no_json_is_refused(payload: bytes) -> None:
    with pytest.raises(ReportRefused, match="no JSON"):
        parse_report(payload, {})


def test_deep_arrays_are_refused_and_do_not_exhaust_the_stack() -> None:
    for depth in range(100, 16_000, 500):
        payload = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        try:
            parse_report(payload, {})
        except ReportRefused:
            continue
