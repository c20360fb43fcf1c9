"""Direct mode on a running module: doubts go to a Vision API, and their verdicts are merged."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.direct.test_direct_verifier import SEEN, route
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until
from tests.support.vision_stub import Reply, serving

from visionedge import linkup
from visionedge.__main__ import main
from visionedge.app import App
from visionedge.direct import check_direct
from visionedge.entities import Kind
from visionedge.errors import SettingsError
from visionedge.settings import LAST_GOOD_NAME, resolve
from visionedge.uplink.egress import read_ledger

pytestmark = pytest.mark.timeout(120)


def document(tmp_path: Path, endpoint: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    direct = {
        "enabled": True,
        "route": route(endpoint),
        "key": "${env:VISION_KEY}",
        "path": str(tmp_path / "direct.db"),
        **changes,
    }
    egress = {"path": str(tmp_path / "egress.jsonl")}
    return busy_line(tmp_path, direct=direct, egress=egress)


@contextmanager
def running(hub: FakeHub, *layers: dict[str, Any]) -> Iterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkup, "choose", lambda *_: hub)
        patch.setenv("VISION_KEY", "k-1")
        app = App(layers, environment=os.environ)
        app.start()
        try:
            yield app
        finally:
            app.stop(5)


def settled(app: App) -> int:
    return int(sum(app.metrics.counts("visionedge_resolutions_total", "outcome").values()))


def test_doubts_are_asked_about_here_and_settled_as_if_the_cloud_had_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = FakeHub()
    with serving(Reply(503, {}, {"Retry-After": "0"}), Reply(200, SEEN)) as stub:
        with running(hub, document(tmp_path, stub.endpoint)) as app:
            wait_until(lambda: settled(app) >= 3, "three escalations settled")
            wait_until(lambda: any(m.kind is Kind.TELEMETRY for m in hub.received), "telemetry")
            outcomes = app.metrics.counts("visionedge_resolutions_total", "outcome")
        asked = len(stub.requests)
    assert not [message for message in hub.received if message.kind is Kind.ESCALATION]
    assert "expired" not in outcomes
    ledger = list(read_ledger(tmp_path / "egress.jsonl"))
    assert {line["to"] for line in ledger} == {"customvision 127.0.0.1"}
    assert sum(line["verifier"] == "customvision" for line in ledger) >= 3
    assert asked <= len(ledger) + 1
    assert main(["audit", "--ledger", str(tmp_path / "egress.jsonl")]) == 0
    assert "to customvision 127.0.0.1" in capsys.readouterr().out
    assert "k-1" not in (tmp_path / "egress.jsonl").read_text()


def test_over_budget_the_line_goes_on_with_its_own_word(tmp_path: Path) -> None:
    with (
        serving(Reply(200, SEEN)) as stub,
        running(FakeHub(), document(tmp_path, stub.endpoint, calls_per_day=2)) as app,
    ):
        wait_until(lambda: settled(app) >= 5, "five escalations settled")
        outcomes = app.metrics.counts("visionedge_resolutions_total", "outcome")
        processed = app.metrics.value("visionedge_frames_processed_total")
    assert len(stub.requests) == len(list(read_ledger(tmp_path / "egress.jsonl"))) == 2
    assert outcomes["expired"] >= 3
    assert processed > 10


def test_a_twin_that_cannot_be_used_is_refused_by_its_field(tmp_path: Path) -> None:
    hub = FakeHub()
    with running(hub, busy_line(tmp_path)):
        bad = {"direct": {"enabled": True, "route": route("http://x.example"), "key": ""}}
        hub.patch_desired(bad)
        wait_until(lambda: "direct" in hub.reported, "an answer")
        assert hub.reported["direct"]["ac"] == 400
        assert "https" in json.dumps(hub.reported["direct"])
        good = route("https://x.example")
        hub.patch_desired({"direct": {"route": good, "key": "${env:VISION_KEY}"}})
        wait_until(lambda: hub.reported["direct"]["ac"] == 202, "the other answer")


def test_without_the_verifier_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "verifier.hosts.direct", None)
    app = App([document(tmp_path, "https://x.example")], environment=os.environ)
    with pytest.raises(SettingsError, match=r"install visionedge\[cloud\]") as caught:
        app.start()
    app.stop(1.0)
    assert list(caught.value.fields) == ["direct.enabled"]


def test_a_key_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISION_KEY", raising=False)
    settings = resolve([document(tmp_path, "https://x.example")])
    with pytest.raises(SettingsError, match="VISION_KEY") as caught:
        check_direct(settings.direct)
    assert list(caught.value.fields) == ["direct.key"]


@pytest.mark.parametrize(
    ("direct", "field"),
    [
        ({"key": "k-1"}, "direct.key"),
        ({"enabled": True}, "direct"),
        ({"route": {"backend": {}}, "x": 1}, "direct.x"),
    ],
)
def test_settings_that_are_wrong_by_themselves_are_refused(
    direct: dict[str, Any], field: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([{"direct": direct}])
    assert list(caught.value.fields) == [field]
    assert "k-1" not in str(caught.value)


def test_a_twin_that_was_good_once_does_not_keep_the_module_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VISION_KEY", raising=False)
    kept = {"direct": document(tmp_path, "https://x.example")["direct"]}
    (tmp_path / LAST_GOOD_NAME).write_text(json.dumps({"desired": kept, "version": 3}))
    app = App([busy_line(tmp_path)], environment=os.environ)
    app.start()
    names = {thread.name for thread in threading.enumerate()}
    app.stop(1.0)
    assert "VISION_KEY is not set" in capsys.readouterr().err
    assert app.settings.direct.enabled, "the twin still says so, and is answered again"
    assert "sender" in names
    assert "direct" not in names


def test_direct_mode_that_a_start_could_not_take_from_the_twin_is_said_to_wait(
    tmp_path: Path,
) -> None:
    asked = document(tmp_path, "http://127.0.0.1:9", key="${env:NOT_THERE}")["direct"]
    kept = json.dumps({"version": 3, "desired": {"direct": asked}})
    (tmp_path / LAST_GOOD_NAME).write_text(kept, encoding="utf-8")
    hub = FakeHub()
    hub.desired = {"direct": asked}
    with running(hub, busy_line(tmp_path)) as app:
        wait_until(lambda: "direct" in hub.reported, "the answer")
        assert hub.reported["direct"]["ac"] == 202
        assert app.settings.direct.enabled
