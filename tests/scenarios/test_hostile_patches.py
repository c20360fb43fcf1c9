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
from visionedge.settings import DEFAULTS, Settings

pytestmark = pytest.mark.timeout(900)

NASTY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["", "\x00", "a" * 5000, "../../etc/passwd", "${env:X}", "NaN", "1e999"]),
    st.sampled_from(["rtsp://u:pw@h/x", "${file:/etc/shadow}", "file:///dev/zero", "/dev/null"]),
)
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


KNOWN = sorted({path for path in paths(DEFAULTS) if path[0] not in ("http", "spool", "egress")})


@st.composite
def hostile(draw: st.DrawFn) -> dict[str, Any]:
    """A few fields, most of them known ones, with values of any kind."""
    patch: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(KNOWN) | st.lists(st.text(max_size=8), min_size=1, max_size=3))
        value = draw(VALUES)
        for name in reversed(path):
            value = {name: value}
        patch |= value if isinstance(value, dict) else {}
    return patch


class Line:
    """A module, its hub, and what a patch must leave behind."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub = FakeHub()
        monkeypatch.setattr(linkup, "choose", lambda *_: self.hub)
        document = busy_line(folder)
        document["cameras"]["line-1"] = {"kind": "file", "path": str(folder), "fps": 1}
        self.app = App([document], environment=os.environ)
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
        if app.revision == revision:
            assert app.settings == before
        self._has_its_answer(version, patch)

    def _has_its_answer(self, version: int, patch: dict[str, Any]) -> None:
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


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    line = Line(tmp_path, monkeypatch)
    yield line
    line.app.stop(3)


def run(line: Line, count: int) -> None:
    refused = line.app.metrics.value("visionedge_twin_patches_total", {"result": "refused"})

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile())
    def each(patch: dict[str, Any]) -> None:
        # What came before goes with it: else one refusal would cover all that come after.
        line.send(dict.fromkeys(line.hub.desired) | patch)

    each()
    after = line.app.metrics.value("visionedge_twin_patches_total", {"result": "refused"})
    assert after - refused > count / 4
    line.send(dict.fromkeys(line.hub.desired) | {"decision": {"accept": 0.7}})
    wait_until(lambda: line.app.settings.decision.accept == 0.7, "a good patch after all")
    assert threading.active_count() < 60


def test_a_few_hostile_patches_are_answered_and_change_nothing_by_half(line: Line) -> None:
    run(line, 60)


@pytest.mark.slow
def test_a_thousand_hostile_patches_are_answered_and_change_nothing_by_half(line: Line) -> None:
    run(line, 1000)
