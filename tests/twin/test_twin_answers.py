"""From a desired document to settings, and the answer to it: whole or not at all, and why."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.settings import Settings, merge, resolve
from visionedge.twin import (
    FORGET,
    Accepted,
    Answer,
    DesiredState,
    Refused,
    ReportedState,
    plan,
)

FILE: Mapping[str, Any] = {
    "decision": {"accept": 0.5, "margin": 0.15},
    "models": {"default": {"path": "m.onnx"}},
}
DEFAULTS = resolve([FILE])


def desired(document: Mapping[str, Any], version: int | None = 4) -> DesiredState:
    state = DesiredState()
    state.replace(document, version)
    return state


def answered(
    document: Mapping[str, Any], in_use: Settings = DEFAULTS, version: int | None = 4
) -> tuple[Answer, dict[str, Any]]:
    state = desired(document, version)
    answer = plan([FILE, state.document], in_use)
    now = answer.settings if isinstance(answer, Accepted) else in_use
    return answer, ReportedState().acknowledge(state, answer, now)


def test_a_good_document_names_the_sections_that_change() -> None:
    answer, _ = answered({"decision": {"accept": 0.7}, "log": {"level": "INFO"}})
    assert isinstance(answer, Accepted)
    assert answer.changed == {"decision"}
    assert answer.settings.decision.accept == 0.7


def test_the_desired_document_wins_over_file_and_environment() -> None:
    answer = plan([{"decision": {"accept": 0.6}}, {"decision": {"accept": 0.7}}], DEFAULTS)
    assert isinstance(answer, Accepted)
    assert answer.settings.decision.accept == 0.7


def test_a_taken_section_is_acknowledged_with_what_is_in_use_and_the_version() -> None:
    _, reported = answered({"decision": {"accept": 0.7}}, version=12)
    assert reported == {"decision": {"value": {"accept": 0.7}, "ac": 200, "av": 12}}


def test_a_bad_field_is_answered_with_its_reason_and_the_value_that_stays() -> None:
    answer, reported = answered({"decision": {"accept": 7, "margin": 0.2}})
    assert isinstance(answer, Refused)
    assert reported["decision"]["value"] == {"accept": 0.5, "margin": 0.15}
    assert (reported["decision"]["ac"], reported["decision"]["av"]) == (400, 4)
    assert reported["decision"]["ad"] == ("decision.accept: must be less than or equal to 1")


def test_every_bad_field_is_named_in_its_section() -> None:
    _, reported = answered(
        {
            "decision": {"accept": 7, "margin": "x"},
            "escalation": {"ttl_s": -1},
            "cameras": {"a": {"kind": "usb", "fps": -1, "colour": "red"}},
        }
    )
    assert re.findall(r"decision\.\w+", reported["decision"]["ad"]) == [
        "decision.accept",
        "decision.margin",
    ]
    assert "escalation.ttl_s" in reported["escalation"]["ad"]
    assert "cameras.a.fps" in reported["cameras"]["ad"]
    assert "cameras.a.colour" in reported["cameras"]["ad"]


def test_a_good_section_beside_a_bad_one_is_not_applied_and_is_told_why() -> None:
    _, reported = answered({"decision": {"accept": 0.7}, "log": {"level": "LOUD"}})
    assert reported["decision"]["ac"] == 400
    assert reported["decision"]["value"] == {"accept": 0.5}
    assert reported["decision"]["ad"].startswith("not applied, because of log.level: ")


def test_a_section_that_is_no_setting_is_refused_by_name() -> None:
    _, reported = answered({"desicion": {"accept": 0.7}})
    assert reported["desicion"]["ac"] == 400
    assert reported["desicion"]["value"] == {}
    assert "desicion" in reported["desicion"]["ad"]


def test_a_model_that_is_not_there_is_a_bad_field() -> None:
    _, reported = answered({"cameras": {"a": {"kind": "pattern", "model": "none"}}})
    assert "cameras.a.model: there is no model `none`" in reported["cameras"]["ad"]


def test_what_fails_only_when_it_is_applied_is_answered_the_same_way() -> None:
    state = desired({"models": {"default": {"path": "broken.onnx"}}})
    late = Refused({"models.default.path": "broken.onnx is no model"})
    reported = ReportedState().acknowledge(state, late, DEFAULTS)
    assert reported["models"]["value"] == {"default": {"path": "m.onnx"}}
    assert reported["models"]["ad"] == "models.default.path: broken.onnx is no model"


def test_a_hub_without_versions_is_acknowledged_as_version_zero() -> None:
    _, reported = answered({"log": {"level": "DEBUG"}}, version=None)
    assert reported["log"]["av"] == 0


class Hub:
    """The reported properties as a hub merges them."""

    def __init__(self) -> None:
        self.reported: dict[str, Any] = {}
        self.state = ReportedState()
        self.in_use = DEFAULTS
        self.version = 0

    def desire(self, document: Mapping[str, Any], *, lose_answer: bool = False) -> None:
        self.version += 1
        desired_now = desired(document, self.version)
        answer = plan([FILE, desired_now.document], self.in_use)
        if isinstance(answer, Accepted):
            self.in_use = answer.settings
        patch = self.state.acknowledge(desired_now, answer, self.in_use)
        if not lose_answer:
            self.reported = merge(self.reported, patch)
            self.state.delivered()

    def restart_module(self) -> None:
        self.state = ReportedState()
        self.reported = merge(self.reported, FORGET)


def test_a_refused_section_is_taken_when_the_other_one_is_mended_and_its_reason_goes() -> None:
    hub = Hub()
    hub.desire({"decision": {"accept": 0.7}, "log": {"level": "LOUD"}})
    hub.desire({"decision": {"accept": 0.7}, "log": {"level": "DEBUG"}})
    assert hub.reported == {
        "decision": {"value": {"accept": 0.7}, "ac": 200, "av": 2},
        "log": {"value": {"level": "DEBUG"}, "ac": 200, "av": 2},
    }


def test_what_is_no_longer_desired_is_no_longer_reported() -> None:
    hub = Hub()
    two = {name: {"kind": "pattern", "fps": 5} for name in ("a", "b")}
    hub.desire({"cameras": two, "log": {"level": "DEBUG"}})
    hub.desire({"cameras": {"b": {"kind": "usb"}}})
    assert hub.reported["cameras"]["value"] == {"b": {"kind": "usb"}}
    assert "log" not in hub.reported


def test_a_lost_answer_leaves_nothing_behind_whichever_way_it_was_lost() -> None:
    hub = Hub()
    hub.desire({"cameras": {"a": {"kind": "pattern"}}})
    hub.desire({"cameras": {"b": {"kind": "pattern"}}}, lose_answer=True)
    # Lost, but merged all the same: only its acknowledgement did not come back.
    hub.reported["cameras"]["value"]["b"] = {"kind": "pattern"}
    hub.desire({"cameras": {"c": {"kind": "pattern"}}})
    assert hub.reported["cameras"]["value"] == {"c": {"kind": "pattern"}}


def test_what_the_hub_has_taken_away_is_not_taken_away_again_and_again() -> None:
    hub = Hub()
    hub.desire({"cameras": {"a": {"kind": "pattern"}}})
    hub.desire({"cameras": {"b": {"kind": "pattern"}}})
    state = desired({"cameras": {"b": {"kind": "pattern"}}})
    patch = hub.state.acknowledge(state, plan([FILE, state.document], hub.in_use), hub.in_use)
    assert patch["cameras"]["value"] == {"b": {"kind": "pattern"}}


def test_after_a_restart_nothing_of_the_earlier_process_stays() -> None:
    hub = Hub()
    hub.desire({"cameras": {"a": {"kind": "pattern"}}, "log": {"level": "LOUD"}})
    hub.restart_module()
    hub.desire({"decision": {"accept": 0.7}})
    assert hub.reported == {"decision": {"value": {"accept": 0.7}, "ac": 200, "av": 2}}


def test_no_password_is_reported_whether_taken_or_refused() -> None:
    url = "rtsp://admin:s3cret@10.0.0.5/live?token=abcdef"
    good = {"cameras": {"a": {"kind": "stream", "url": url}}}
    for document in (
        good,
        {"cameras": {"a": {"kind": "stream", "url": url, "fps": 1}}},
        {"cameras": {"a": {"kind": url}}},
        {"log": {"level": url}},
        {"cameras": {url: 1}, url: 1},
        {"cameras": {"a": {"kind": "stream", "url": f"x{url}"}}},
    ):
        _, reported = answered(document, in_use=resolve([good]))
        assert "s3cret" not in json.dumps(reported)
        assert "abcdef" not in json.dumps(reported)
    _, reported = answered(good)
    assert reported["cameras"]["value"]["a"]["url"] == "rtsp://***@10.0.0.5/live?token=***"


def nodes(value: object, depth: int = 0) -> Iterator[tuple[object, int, str]]:
    """Every value of a reported patch, its depth, and `key`, `item` or `value` for its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, depth, "key"
            yield from ((n, d, w) for n, d, w in nodes(inner, depth + 1))
    elif isinstance(value, list):
        for inner in value:
            yield inner, depth, "item"
            yield from nodes(inner, depth)
    else:
        yield value, depth, "value"


def assert_a_twin_holds(patch: dict[str, Any]) -> None:
    """The limits of edgeHub's ReportedPropertiesValidator, and of JSON."""
    assert len(json.dumps(patch, allow_nan=False).encode()) <= 32 * 1024
    for node, depth, where in nodes(patch):
        assert depth <= 10
        if where == "key":
            assert isinstance(node, str)
            assert len(node.encode()) <= 1024
            assert not re.search(r"[\x00-\x20\x7f-\x9f.$#]", node), node
        elif where == "item":
            assert node is not None
        if isinstance(node, str):
            assert len(node.encode()) <= 4096
        elif isinstance(node, int):
            assert abs(node) <= 2**52


NESTED: dict[str, Any] = {}
for _ in range(5000):
    NESTED = {"a": NESTED}
LISTED: list[Any] = []
for _ in range(5000):
    LISTED = [LISTED]


@pytest.mark.parametrize(
    "document",
    [
        NESTED,
        {"decision": NESTED},
        {"decision": LISTED},
        {"decision": {"accept": LISTED}},
        {"cameras": {"a": {"kind": "pattern", "masks": LISTED}}},
        {"decision": {"accept": math.nan}},
        {"decision": {"accept": math.inf}},
        {"escalation": {"ttl_s": 1e300}},
        {"decision": {"accept": 10**400}},
        {"decision": {"accept": True}, "cameras": True},
        {"cameras": {"a": {"kind": ["usb"]}}},
        {"cameras": {"a": {"kind": {"usb": 1}}}},
        {"cameras": [], "models": 5, "decision": "x", "escalation": None},
        {"log": {"level": "x" * 1_000_000}},
        {"x" * 1_000_000: 1},
        {"cameras": {"x" * 100_000: {"kind": "usb"}}},
        {"cameras": {"a b.c$d#e": {"kind": "usb"}}},
        {"a b.c$d#e\x00": {"kind": "usb"}},
        {"": {"": 1}},
        {"\ud800": {"\ud800": "\ud800"}},
        {"models": {"default": {"path": "\ud800"}}},
        {f"section-{i}": i for i in range(3000)},
        {"decision": {f"field_{i}": i for i in range(3000)}},
        {"cameras": {f"c{i}": {"kind": "usb", "fps": -1} for i in range(500)}},
    ],
    ids=lambda document: str(next(iter(document)))[:12].encode("ascii", "replace").decode(),
)
def test_a_hostile_document_is_refused_whole_with_a_reason(document: dict[str, Any]) -> None:
    answer, reported = answered(document)
    assert isinstance(answer, Refused)
    assert answer.fields
    assert reported
    for section in reported.values():
        assert section["ac"] == 400
        assert section["ad"]
    assert_a_twin_holds(reported)


def test_settings_larger_than_a_twin_are_acknowledged_without_their_values() -> None:
    path = "x" * 3000
    document = {
        "models": {f"m{i}": {"path": f"{path}{i}"} for i in range(8)},
        "cameras": {f"c{i}": {"kind": "file", "path": path, "model": "m0"} for i in range(8)},
        "decision": {"accept": 0.7},
    }
    answer, reported = answered(document)
    assert isinstance(answer, Accepted)
    assert_a_twin_holds(reported)
    assert {section["ac"] for section in reported.values()} == {200}
    assert reported["decision"]["value"] == {"accept": 0.7}
    left_out = [name for name, section in reported.items() if "too large" in section.get("ad", "")]
    assert left_out
    assert all(reported[name]["value"] == {} for name in left_out)


def test_a_long_string_in_use_is_cut_to_what_a_twin_holds() -> None:
    answer, reported = answered({"models": {"default": {"path": "ü" * 5000}}})
    assert isinstance(answer, Accepted)
    assert_a_twin_holds(reported)
    assert reported["models"]["value"]["default"]["path"].startswith("üüü")


def test_free_json_in_use_is_told_in_names_and_depths_that_a_twin_holds() -> None:
    deep: dict[str, Any] = {"end": 1}
    for _ in range(11):
        deep = {"in": deep}
    route = {"\x00a b.$#": [[1.5, None, ""]], "deep": deep, "large": 2**60}
    answer, reported = answered({"direct": {"route": route}})
    assert isinstance(answer, Accepted)
    assert_a_twin_holds(reported)
    told = reported["direct"]["value"]["route"]
    assert told["_a_b___"] == [[1.5, ""]]
    assert told["large"] == float(2**60)


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(), max_size=8),
        st.sampled_from(["usb", "pattern", "file", "stream", "DEBUG", 0.5, 1]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["kind", "path", "accept", "classes", "default", "line-1", "masks"]
                ),
                st.text(max_size=4),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(
    st.one_of(st.sampled_from(sorted(Settings.model_fields)), st.text(max_size=4)),
    JSON,
    max_size=4,
)


@given(st.lists(DOCUMENTS, max_size=4))
def test_any_document_is_taken_whole_or_refused_whole_and_answered(
    documents: list[dict[str, Any]],
) -> None:
    hub = Hub()
    for document in documents:
        before = hub.in_use
        state = desired(document)
        answer = plan([FILE, state.document], before)
        hub.desire(document)
        codes = {section["ac"] for section in hub.reported.values()}
        if isinstance(answer, Accepted):
            assert hub.in_use == answer.settings
            assert codes <= {200}
            assert answer.changed == {
                name
                for name in Settings.model_fields
                if getattr(before, name) != getattr(answer.settings, name)
            }
        else:
            assert hub.in_use is before
            assert codes <= {400}
        assert_a_twin_holds(hub.reported)
        assert bool(hub.reported) == bool(state.document)
