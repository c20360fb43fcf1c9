"""Whatever is asked of a method, it answers: with a stated status, in a small JSON object."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until

from visionedge import linkup
from visionedge.app import App
from visionedge.methods import METHODS, Methods
from visionedge.uplink.hub import MethodAnswer
from visionedge.uplink.limits import MAX_METHOD_BYTES, allowed_answer

pytestmark = pytest.mark.timeout(300)
STATED = {200, 400, 404, 503}
VALUE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(["line-1", "default", "x" * 5000, "\x00", "../../etc", "\ud800", 10**400]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    sorted({field for method in METHODS.values() for field in method.payload.model_fields})
)
PAYLOAD = VALUE | st.dictionaries(FIELDS | st.text(max_size=6), VALUE, max_size=4)
GOOD: dict[str, Any] = {
    "captureNow": {"camera": "line-1"},
    "pauseCamera": {"camera": "line-1"},
    "resumeCamera": {"camera": "line-1"},
    "rollback": {"model": "default"},
    "swapModel": {"model": "default"},
    "validateConfig": {"patch": {"decision": {"accept": 0.4}}},
    "verdictQuery": {"escalation_id": "none"},
    "recentEscalations": {"limit": 50},
    "applyVerdict": {
        "verdicts": [
            {
                "verdict_id": "v1", "escalation_id": "none", "verifier": {"name": "person"},
                "verified_at": "2026-11-21T10:00:00Z",
            }
        ]
    },
}  # fmt: skip


class Module:
    """A module on the hub in memory."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.hub = hub
        self.app = App([busy_line(folder)], environment=os.environ)
        self.app.start()
        wait_until(lambda: "module" in hub.reported, "the first answer")

    def ask(self, name: str, payload: object) -> MethodAnswer:
        answer = allowed_answer(self.hub.invoke(name, payload, 60))
        assert answer.status in STATED, (name, payload, answer)
        assert len(json.dumps(dict(answer.payload), allow_nan=False)) <= MAX_METHOD_BYTES
        if answer.status == 400:
            assert answer.payload["fields"]
        elif answer.status != 200:
            assert answer.payload["error"]
        return answer

    def is_whole(self) -> bool:
        crashes = self.app.metrics.counts("visionedge_worker_crashes_total", "worker")
        return not crashes.get("control") and not self.app.stuck_parts()


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Module]:
    hub = FakeHub()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkup, "choose", lambda *_: hub)
        module = Module(tmp_path_factory.mktemp("module"), hub)
    yield module
    module.app.stop(3)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_any_payload_is_answered_with_a_stated_status_in_a_small_object(
    module: Module, name: str
) -> None:
    before, revision = module.app.settings, module.app.revision

    @settings(
        max_examples=40,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(PAYLOAD)
    def each(payload: object) -> None:
        module.ask(name, payload)

    each()
    assert module.is_whole()
    assert (module.app.settings, module.app.revision) == (before, revision)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_called_twice_answers_twice_the_same(module: Module, name: str) -> None:
    one, two = (module.ask(name, GOOD.get(name)) for _ in range(2))
    assert one.status == two.status
    if name not in ("status", "diagnostics", "recentEscalations", "flush"):
        assert one.payload == two.payload
    assert module.is_whole()


@pytest.mark.parametrize(
    "payload",
    [
        {"x" * 120_000: 1},
        {f"field-{n}": n for n in range(8000)},
        {"patch": {"decision": {f"field-{n}": n for n in range(6000)}}},
        {"patch": {"x" * 60_000: {"y" * 60_000: 1}}},
        {"patch": {f"section-{n}": {"a": n} for n in range(4000)}},
        {"verdicts": [{"verdict_id": "v"}] * 3000},
        {"verdicts": [{**GOOD["applyVerdict"]["verdicts"][0], "x" * 300: 1}] * 256},
    ],
    ids=lambda payload: str(next(iter(payload)))[:8],
)
def test_a_payload_as_large_as_a_method_takes_gets_an_answer_that_is_one(
    module: Module, payload: dict[str, Any]
) -> None:
    for name in METHODS:
        module.ask(name, payload)
    assert module.is_whole()


def test_nested_as_deeply_as_json_can_be_read_is_refused(module: Module) -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    for name in METHODS:
        assert module.ask(name, deep).status in (200, 400)
    (told,) = module.ask("validateConfig", {"patch": deep}).payload["fields"].items()
    assert told[0].startswith("a.a.a.")
    assert told[1] == "is nested deeper than 16 levels"


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("recentEscalations", {"limit": True}),
        ("recentEscalations", {"limit": "5"}),
        ("validateConfig", {"patch": {}, "replace": "no"}),
    ],
)
def test_one_kind_of_value_is_not_taken_for_another(
    module: Module, name: str, payload: dict[str, Any]
) -> None:
    answer = module.ask(name, payload)
    assert answer.status == 400
    assert list(answer.payload["fields"]) == [list(payload)[-1]]


def test_a_failure_that_nobody_foresaw_is_answered_with_500(
    module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> MethodAnswer:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Methods, "call", fail)
        answer = module.hub.invoke("status", None, 60)
    assert answer.status == 500
    assert "log" in answer.payload["error"]
    assert module.hub.invoke("status", None, 60).status == 200
