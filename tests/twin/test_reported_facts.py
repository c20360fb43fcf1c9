"""What the module tells of itself unasked: only changes, not too often, and never too much."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from visionedge.facts import FactsReport
from visionedge.runtime.clock import FakeClock
from visionedge.settings import Settings, merge, resolve
from visionedge.twin import FORGET, Accepted, DesiredState, ReportedState, plan
from visionedge.uplink.limits import MAX_REPORT_BYTES, check_report

MANY = 64
"""Most cameras, and most models, that settings take."""


def long_name(kind: str, number: int) -> str:
    return f"{kind}-{number:02d}-".ljust(64, "x")


def bundle(number: int, **told: Any) -> dict[str, Any]:  # noqa: ANN401 - facts are JSON
    plain = {"desired": f"{number:016x}", "staged": "", "state": "", "share": 0.0}
    return {**plain, "active": f"{number:016x}", "previous": "0" * 16, "reason": "", **told}


def facts_of_many() -> dict[str, Any]:
    states = {long_name("lost", 0): "lost"}
    states |= {long_name("line", n): "running" for n in range(1, MANY)}
    bundles = {long_name("new", 0): bundle(0, reason="r" * 900)}
    bundles |= {long_name("model", n): bundle(n) for n in range(1, MANY)}
    return {
        "module": {"version": "0.1.0", "settings_revision": 7},
        "connectivity": {"state": "online"},
        "camera": {"states": states},
        "model": {"bundles": bundles},
        "privacy": {"masked_cameras": 3},
    }


def told(facts: dict[str, Any]) -> dict[str, Any]:
    patch = FactsReport(FakeClock()).patch(facts)
    assert patch is not None
    return patch


def size_bytes(document: object) -> int:
    return len(json.dumps(document).encode())


def test_all_is_told_where_there_is_room() -> None:
    facts = {"camera": {"states": {f"line-{n}": "running" for n in range(MANY)}}}
    assert told(facts) == facts


def test_of_too_many_the_last_entries_are_left_out_and_counted_and_the_first_are_told() -> None:
    shown = told(facts_of_many())
    check_report(shown)
    assert size_bytes(shown) <= 6000
    assert shown["module"]["settings_revision"] == 7
    states, bundles = shown["camera"]["states"], shown["model"]["bundles"]
    assert len(states) + shown["camera"].get("left_out", 0) == MANY
    assert len(bundles) + shown["model"]["left_out"] == MANY
    assert next(iter(bundles)).startswith("new")
    assert next(iter(states)).startswith("lost")
    assert "" not in bundles


def test_nothing_is_told_twice_and_nothing_before_its_time() -> None:
    clock = FakeClock()
    report = FactsReport(clock, every_s=10)
    facts = facts_of_many()
    assert report.patch(facts)
    facts = {**facts, "connectivity": {"state": "offline"}}
    assert report.patch(facts) is None
    clock.advance(10)
    assert report.patch(facts) == {"connectivity": {"state": "offline"}}
    clock.advance(10)
    assert report.patch(facts) is None
    report.forget()
    assert report.patch(facts) == told(facts)


def test_what_is_gone_is_taken_away() -> None:
    clock = FakeClock()
    report = FactsReport(clock)
    reported = merge({}, report.patch({"camera": {"states": {"a": "running", "b": "lost"}}}) or {})
    clock.advance(60)
    reported = merge(reported, report.patch({"camera": {"states": {"a": "running"}}}) or {})
    assert reported == {"camera": {"states": {"a": "running"}}}


def followed(
    report: FactsReport, clock: FakeClock, facts: dict[str, Any], bad: str, tries: int
) -> dict[str, Any]:
    """What a hub that refuses a section has in the end; each patch is counted."""
    reported: dict[str, Any] = {}
    for _ in range(tries):
        patch = report.patch(facts)
        assert patch is not None
        if bad in patch:
            report.refused()
        else:
            reported = merge(reported, patch)
        assert report.patch(facts) is None
        clock.advance(10)
    return reported


def test_where_the_hub_refuses_a_section_the_others_are_told_and_it_is_not_tried_again() -> None:
    clock = FakeClock()
    report, facts = FactsReport(clock), facts_of_many()
    reported = followed(report, clock, facts, "camera", tries=1 + len(facts))
    assert reported.keys() == facts.keys() - {"camera"}
    assert report.patch(facts) is None
    clock.advance(3600)
    assert report.patch(facts) is None


def test_a_section_that_was_refused_is_told_whole_once_it_has_changed() -> None:
    clock = FakeClock()
    report, facts = FactsReport(clock), {"camera": {"a": "x", "b": "y"}, "module": {"load": "ok"}}
    followed(report, clock, facts, "camera", tries=3)
    changed = {"camera": {"a": "z", "b": "y"}, "module": {"load": "high"}}
    reported = followed(report, clock, changed, "", tries=2)
    assert reported == {"camera": {"a": "z", "b": "y"}, "module": {"load": "high"}}
    assert report.patch(changed) is None
    # With nothing refused any more all goes in one patch again.
    assert followed(report, clock, facts, "", tries=1) == {
        "camera": {"a": "x"},
        "module": {"load": "ok"},
    }


def test_what_the_hub_had_before_a_refusal_is_still_taken_away_when_it_goes() -> None:
    clock = FakeClock()
    report = FactsReport(clock)
    followed(report, clock, {"camera": {"a": "x"}}, "", tries=1)
    followed(report, clock, {"camera": {"a": "bad", "c": "bad"}}, "camera", tries=1)
    assert report.patch({"camera": {"b": "x"}}) == {"camera": {"a": None, "b": "x"}}


def test_64_cameras_and_64_models_fit_one_twin_with_answers_and_facts() -> None:
    document = {
        "models": {
            long_name("model", n): {
                "path": f"/data/models/{n}",
                "uri": f"https://example.blob.core.windows.net/m/{n}.zip?sig=" + "s" * 90,
                "sha256": f"{n:064x}",
            }
            # The default one is there as well.
            for n in range(MANY - 1)
        },
        "cameras": {
            long_name("line", n): {
                "kind": "stream",
                "url": f"rtsp://10.0.0.{n}/live",
                "model": long_name("model", n % (MANY - 1)),
                "masks": [[[0, 0], [0.5, 0], [0.5, 0.5]]],
            }
            for n in range(MANY)
        },
        "decision": {"accept": 0.7},
    }
    desired = DesiredState()
    desired.replace(document, 3)
    answer = plan([desired.document], resolve([]))
    assert isinstance(answer, Accepted)
    patch = ReportedState().acknowledge(desired, answer, answer.settings)
    check_report(patch)
    reported = merge(merge(FORGET, patch), told(facts_of_many()))
    assert size_bytes(reported) <= MAX_REPORT_BYTES
    for section in ("models", "cameras", "decision"):
        assert reported[section]["ac"] == 200
    assert reported["decision"]["value"] == {"accept": 0.7}
    large = [name for name in ("models", "cameras") if not reported[name]["value"]]
    assert all("too large" in reported[name]["ad"] for name in large)


NAMES = st.text("abcdefgh-_", min_size=1, max_size=64)
FACTS = st.dictionaries(
    st.sampled_from(["module", "connectivity", "camera", "model", "privacy"]),
    st.dictionaries(
        st.sampled_from(["state", "states", "bundles", "runs"]),
        st.text(max_size=6000)
        | st.dictionaries(NAMES, st.text(max_size=300) | st.integers(0, 10**9), max_size=64),
    ),
)


@given(st.lists(FACTS, max_size=4))
def test_whatever_the_facts_the_twin_holds_them_and_follows_them(
    documents: list[dict[str, Any]],
) -> None:
    clock = FakeClock()
    report, reported = FactsReport(clock), dict.fromkeys(Settings.model_fields)
    for facts in documents:
        patch = report.patch(facts)
        clock.advance(60)
        if patch is not None:
            check_report(patch)
            reported = merge(reported, patch)
        assert size_bytes(reported) <= 8_000
        shown = FactsReport(FakeClock()).patch(facts) or {}
        assert {name: told for name, told in reported.items() if told is not None} == shown
