"""Folding documents and patches into the document that the hub has, whatever comes when."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from visionedge.twin import DesiredState, Folded


def known(document: Mapping[str, Any], version: int | None = 5) -> DesiredState:
    state = DesiredState()
    assert state.replace(document, version) is Folded.APPLIED
    return state


def test_a_document_is_taken_without_what_is_the_hubs_own() -> None:
    state = known({"$version": 5, "$metadata": {"x": 1}, "log": {"level": "INFO"}})
    assert (state.document, state.version) == ({"log": {"level": "INFO"}}, 5)


def test_the_next_patch_is_merged_and_null_removes() -> None:
    state = known({"decision": {"accept": 0.5, "margin": 0.1}, "log": {"level": "INFO"}})
    assert state.patch({"decision": {"accept": 0.7}, "log": None, "$version": 6}, 6) is (
        Folded.APPLIED
    )
    assert (state.document, state.version) == ({"decision": {"accept": 0.7, "margin": 0.1}}, 6)


@pytest.mark.parametrize("version", [1, 4, 5])
def test_a_patch_that_is_known_or_older_is_ignored(version: int) -> None:
    state = known({"a": 1})
    assert state.patch({"a": 2}, version) is Folded.IGNORED
    assert (state.document, state.version) == ({"a": 1}, 5)


def test_a_gap_asks_for_the_whole_document_and_changes_nothing() -> None:
    state = known({"a": 1})
    assert state.patch({"a": 2}, 7) is Folded.REREAD
    assert (state.document, state.version) == ({"a": 1}, 5)


def test_a_patch_before_any_document_asks_for_the_document() -> None:
    assert DesiredState().patch({"a": 1}, 1) is Folded.REREAD


def test_the_same_document_again_is_nothing_new() -> None:
    state = known({"a": 1})
    assert state.replace({"$version": 5, "a": 1}, 5) is Folded.IGNORED


def test_a_smaller_version_is_the_hubs_word_and_patches_go_on_from_there() -> None:
    state = known({"a": 1}, 57)
    assert state.replace({"b": 1}, 1) is Folded.APPLIED
    assert state.patch({"b": 2}, 2) is Folded.APPLIED
    assert (state.document, state.version) == ({"b": 2}, 2)


def test_the_same_version_with_other_contents_is_an_identity_made_anew() -> None:
    state = known({"a": 1}, 1)
    assert state.replace({"a": 2}, 1) is Folded.APPLIED
    assert state.document == {"a": 2}


def test_an_edgehub_that_was_never_in_sync_does_not_take_settings_away() -> None:
    state = known({"cameras": {"a": {"kind": "pattern"}}})
    assert state.replace({}, None) is Folded.IGNORED
    assert state.document == {"cameras": {"a": {"kind": "pattern"}}}
    assert state.patch({"log": {"level": "DEBUG"}}, 6) is Folded.APPLIED


def test_a_hub_without_versions_is_taken_at_its_word() -> None:
    state = known({"a": 1}, None)
    assert state.replace({"b": 2}, None) is Folded.APPLIED
    assert (state.document, state.version) == ({"b": 2}, None)
    assert state.patch({"b": 3}, 1) is Folded.REREAD


def test_what_was_given_is_neither_changed_nor_shared() -> None:
    given_document = {"decision": {"accept": 0.5}}
    state = known(given_document)
    before = state.document
    state.patch({"decision": {"accept": 0.7}}, 6)
    assert given_document == {"decision": {"accept": 0.5}}
    assert before == {"decision": {"accept": 0.5}}


def test_nesting_without_end_is_folded_like_anything_else() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    state = known({"log": {"level": "INFO"}})
    assert state.patch(deep, 6) is Folded.APPLIED
    assert state.replace(deep, 6) is Folded.APPLIED
    assert state.replace({"log": {}}, 7) is Folded.APPLIED
    assert state.document == {"log": {}}


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.one_of(st.integers(0, 3), st.text(max_size=2), st.lists(st.integers(0, 2), max_size=2)),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PATCHES = st.dictionaries(
    NAMES,
    st.recursive(
        st.one_of(st.none(), VALUES),
        lambda inner: st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


def rfc7386(target: object, patch: object) -> object:
    """The pseudo code of the RFC, as the hub's own merge."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = rfc7386(merged.get(name), value)
    return merged


@given(st.lists(PATCHES, max_size=6))
def test_patches_in_order_are_merged_as_the_rfc_says(patches: list[dict[str, Any]]) -> None:
    state = known({}, 0)
    expected: object = {}
    for version, patch in enumerate(patches, start=1):
        assert state.patch(patch, version) is Folded.APPLIED
        expected = rfc7386(expected, patch)
    assert state.document == expected


class Hub(RuleBasedStateMachine):
    """A hub that patches, and a way to the module that loses, doubles, delays and mixes."""

    def __init__(self) -> None:
        super().__init__()
        self.document: dict[str, Any] = {}
        self.version = 1
        self.under_way: list[tuple[dict[str, Any], int]] = []
        self.history: dict[int, dict[str, Any]] = {1: {}}
        self.state = DesiredState()

    @rule(patch=PATCHES)
    def change(self, patch: dict[str, Any]) -> None:
        self.document = rfc7386(self.document, patch)  # type: ignore[assignment] # stays an object
        self.version += 1
        self.history[self.version] = self.document
        self.under_way.append((patch, self.version))

    @rule(shuffler=st.randoms(use_true_random=False), keep=st.booleans())
    def deliver_any(self, shuffler: random.Random, keep: bool) -> None:
        if self.under_way:
            at = shuffler.randrange(len(self.under_way))
            patch, version = self.under_way[at] if keep else self.under_way.pop(at)
            self.state.patch(patch, version)

    @rule()
    def lose_all(self) -> None:
        self.under_way.clear()

    @rule()
    def read(self) -> None:
        self.state.replace({**self.document, "$version": self.version}, self.version)

    @rule()
    def restart_edgehub_offline(self) -> None:
        self.state.replace({}, None)

    @rule()
    def create_the_identity_anew(self) -> None:
        # What was under way goes with the connection, and a new connection reads.
        self.under_way.clear()
        self.document, self.version, self.history = {}, 1, {1: {}}
        self.read()

    @invariant()
    def a_known_version_is_that_versions_document(self) -> None:
        if self.state.version is not None:
            assert self.state.document == self.history[self.state.version]

    @invariant()
    def delivering_the_rest_in_order_or_reading_ends_in_the_hubs_document(self) -> None:
        end = DesiredState()
        end.document, end.version = self.state.document, self.state.version
        for patch, version in sorted(self.under_way, key=lambda sent: sent[1]):
            if end.patch(patch, version) is Folded.REREAD:
                end.replace(self.document, self.version)
        if end.version != self.version:
            end.replace(self.document, self.version)
        assert (end.document, end.version) == (self.document, self.version)


TestAnyInterleavingEndsInTheHubsDocument = Hub.TestCase
