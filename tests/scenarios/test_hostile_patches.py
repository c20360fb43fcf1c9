"""Whatever the hub desires: never a crash, never half applied, always a reason.

A real module on the hub in memory: the whole way of a patch, from the inbox over control and
lineup to the answer in the twin.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until

from visionedge import linkup
from visionedge.app import App
from visionedge.runtime.redact import redact
from visionedge.settings import DEFAULTS, Settings
from visionedge.twin import Accepted, Answer, DesiredState, Refused, plan

pytestmark = pytest.mark.timeout(900)

NASTY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([-1, 0, 1.5, -0.0, 10**400, 2**53, 1e300, 5e-324]),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["", "\x00", "a" * 5000, "\ud800", "../../etc/passwd", "NaN", "1e999", "null"]),
    st.sampled_from(
        ["${env:X}", "${env:PATH}", "${file:/etc/shadow}", "${file:../x}", "${", "${}"]
    ),
    st.sampled_from(
        ["rtsp://u:pw@h/x", "file:///dev/zero", "/dev/null", "https://", "http://[::1"]
    ),
    st.integers(1, 200).map(lambda depth: nested({}, depth)),
    st.integers(1, 200).map(lambda depth: nested([], depth)),
    st.just([0] * 3000),
)


def nested(inner: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON
    """Objects in objects, or lists in lists."""
    value = inner
    for _ in range(depth):
        value = [value] if isinstance(inner, list) else {"a": value}
    return value


VALUES = st.recursive(
    NASTY,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(document: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in document.items():
        yield (*prefix, name)
        if isinstance(value, Mapping):
            yield from paths(value, (*prefix, name))


ELSEWHERE = {
    "cameras": {
        "gate": {"kind": "stream", "url": "", "read_timeout_s": 0, "open_timeout_s": 0},
        "belt": {"kind": "input", "queue": 0, "max_wait_s": 0, "max_bytes": 0, "max_pixels": 0},
        "desk": {"kind": "usb", "device": "", "fps": 0},
        "line-1": {"region": [], "tiles": {"width_px": 0, "batch": 0}, "decision": {"accept": 0}},
    },
    "models": {"new": {"path": "", "uri": "", "sha256": "", "size_bytes": 0, "signature": ""}},
    "decision": {"classes": {"short": {"accept": 0, "provisional": ""}}},
}
"""Fields that the defaults do not have."""
KNOWN = sorted({*paths(DEFAULTS), *paths(ELSEWHERE)})
SECTIONS = sorted(Settings.model_fields)


@st.composite
def hostile(draw: st.DrawFn, section: str) -> dict[str, Any]:
    """A few fields, most of them known and of one section, with values of any kind."""
    patch: dict[str, Any] = {}
    own = [path for path in KNOWN if path[0] == section]
    for _ in range(draw(st.integers(1, 3))):
        known = st.sampled_from(own) | st.sampled_from(KNOWN)
        strange = st.lists(st.text(max_size=8), max_size=2).map(lambda names: (section, *names))
        path = draw(known | known | strange | st.lists(st.text(max_size=8), min_size=1, max_size=3))
        field: Any = draw(VALUES)
        for name in reversed(path):
            field = {name: field}
        patch = merge_deep(patch, field)
    return patch


def merge_deep(base: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Both, nulls kept: what a person would write into one patch."""
    merged = dict(base)
    for key, value in patch.items():
        under = merged.get(key)
        if isinstance(under, dict) and isinstance(value, Mapping):
            merged[key] = merge_deep(under, value)
        else:
            merged[key] = value
    return merged


class Line:
    """A module, its hub, and what a patch must leave behind."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub = FakeHub()
        monkeypatch.setattr(linkup, "choose", lambda *_: self.hub)
        self.document = busy_line(folder)
        self.document["cameras"]["line-1"] = {"kind": "file", "path": str(folder), "fps": 1}
        self.app = App([self.document], environment=os.environ)
        self.app.start()
        wait_until(lambda: "module" in self.hub.reported, "the first answer")

    def send(self, patch: dict[str, Any]) -> None:
        before, revision = self.app.settings, self.app.revision
        version = self.hub.version + 1
        self.hub.patch_desired(patch)
        answered = self.hub.invoke("validateConfig", {"patch": {}}, 60)
        assert answered.status == 200, answered
        app = self.app
        assert not app.stuck_parts()
        crashes = app.metrics.counts("visionedge_worker_crashes_total", "worker")
        assert not {name: n for name, n in crashes.items() if name in ("control", "acknowledger")}
        assert isinstance(app.settings, Settings)
        # What begins with `$` is the hub's own in a twin, and none of ours.
        desired = DesiredState()
        desired.replace(self.hub.desired, version)
        answer = plan([self.document, desired.document], before)
        if app.revision == revision:
            assert app.settings == before
        else:
            # Applied: then whole, and nothing beside it.
            assert isinstance(answer, Accepted)
            assert app.settings == answer.settings
        self._has_its_answer(version, patch, answer)

    def _has_its_answer(self, version: int, patch: dict[str, Any], planned: Answer) -> None:
        """Every known section that is desired now has an answer, a refusal with its reason."""
        desired = [name for name in self.hub.desired if name in Settings.model_fields]
        if not desired:
            return

        def answered() -> bool:
            told = [self.hub.reported.get(name, {}) for name in desired]
            return all(answer.get("av") == version for answer in told)

        assert self.hub.wait(answered, 30), (patch, self.hub.reported)
        for name in desired:
            answer = self.hub.reported[name]
            assert answer["ac"] in (200, 202, 400)
            assert answer["ac"] == 200 or answer["ad"]
            if isinstance(planned, Refused):
                assert answer["ac"] == 400
                bad = [path for path in planned.fields if path.split(".")[0] == name]
                if len(planned.fields) <= 3:
                    assert all(told(path) in answer["ad"] for path in bad), (bad, answer)


def told(path: str) -> str:
    """The beginning of a path, as a twin can show it."""
    return redact(path[:40]).encode("utf-8", "replace").decode()


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    line = Line(tmp_path, monkeypatch)
    yield line
    line.app.stop(3)


def tried(line: Line, section: str, count: int) -> int:
    """Send patches that are mostly of one section; how many there were."""
    sent = 0

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile(section))
    def each(patch: dict[str, Any]) -> None:
        nonlocal sent
        # What came before goes with it: else one refusal would cover all that come after.
        line.send(dict.fromkeys(line.hub.desired) | patch)
        sent += 1

    each()
    return sent


def run(line: Line, count: int) -> None:
    refused = line.app.metrics.value("visionedge_twin_patches_total", {"result": "refused"})
    # Each section in its turn, so that none is left to chance.
    share = -(-count // len(SECTIONS))
    assert sum(tried(line, section, share) for section in SECTIONS) >= count
    after = line.app.metrics.value("visionedge_twin_patches_total", {"result": "refused"})
    assert after - refused > count / 4
    # In two steps: a section that is named is merged into what the last patch left of it.
    line.send(dict.fromkeys(line.hub.desired))
    line.send({"decision": {"accept": 0.7}})
    wait_until(lambda: line.app.settings.decision.accept == 0.7, "a good patch after all")
    assert threading.active_count() < 60


def test_a_few_hostile_patches_are_answered_and_change_nothing_by_half(line: Line) -> None:
    run(line, 200)


@pytest.mark.slow
def test_a_thousand_hostile_patches_are_answered_and_change_nothing_by_half(line: Line) -> None:
    run(line, 1000)
