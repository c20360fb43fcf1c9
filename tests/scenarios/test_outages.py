"""The hub goes away, the process is killed: the line goes on, and no doubt is lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until

from demo.oracle import LineOracle
from devhub import DevHub
from devhub.verifier import Verifier
from visionedge.app import App
from visionedge.entities import Kind
from visionedge.errors import EXIT_STUCK
from visionedge.metrics import Metrics
from visionedge.settings import PatternCamera
from visionedge.uplink.spool import Spool

pytestmark = pytest.mark.timeout(180)
LINE = PatternCamera(kind="pattern", defect_rate=6, fps=15)


def processed(app: App) -> float:
    return app.metrics.value("visionedge_frames_processed_total")


def spooled(app: App) -> float:
    """Escalations that the spool has taken; every one of them must be settled one day."""
    escalated = app.metrics.counts("visionedge_decisions_total", "action").get("escalate", 0)
    return escalated - app.metrics.value("visionedge_escalations_dropped_total")


def cut_and_restore(hub: DevHub, folder: Path, frames_while_cut: int) -> None:
    with (
        Verifier(hub, LineOracle("line-1", LINE), delay_s=0.1),
        running(busy_line(folder, escalation={"min_interval_s": 0.5})) as app,
    ):
        hub.wait(lambda: len(hub.ids("escalation")) >= 2, timeout_s=40)
        hub.cut()
        then, before = processed(app), spooled(app)
        wait_until(
            lambda: processed(app) >= then + frames_while_cut,
            "frames go on without a hub",
            timeout_s=60,
        )
        wait_until(lambda: spooled(app) >= before + 3, "doubts are kept without a hub")
        hub.restore()
        made = spooled(app)
        wait_until(
            lambda: app.metrics.value("visionedge_resolutions_total") >= made,
            "every doubt of the outage is settled",
            timeout_s=60,
        )
        lost = app.metrics.counts("visionedge_spool_lost_total", "cause")
        outcomes = app.metrics.counts("visionedge_resolutions_total", "outcome")
    assert not any(lost.values())
    assert "expired" not in outcomes
    assert len(hub.ids("escalation")) >= made


def test_after_a_cut_every_escalation_arrives_and_is_settled_once(
    devhub: DevHub, tmp_path: Path
) -> None:
    cut_and_restore(devhub, tmp_path, frames_while_cut=40)


@pytest.mark.slow
def test_after_a_cut_of_twenty_seconds_every_escalation_arrives(
    devhub: DevHub, tmp_path: Path
) -> None:
    cut_and_restore(devhub, tmp_path, frames_while_cut=300)


def start_module(folder: Path) -> "subprocess.Popen[bytes]":
    config = folder / "settings.json"
    config.write_text(json.dumps(busy_line(folder)))
    command = [sys.executable, "-m", "visionedge", "run", "--config", str(config)]
    return subprocess.Popen(command, env=os.environ.copy(), stderr=subprocess.DEVNULL)


def test_a_process_whose_rebuilds_all_fail_ends_to_be_restarted(
    devhub: DevHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISIONEDGE__UPLINK__MAX_FAILED_REBUILDS", "2")
    devhub.set_faults(connack_code=5)
    module = start_module(tmp_path)
    try:
        assert module.wait(60) == EXIT_STUCK
    finally:
        module.kill()
    assert devhub.connect_count == 0
    assert devhub.refused_count >= 2


def waiting_in(path: Path) -> list[str]:
    """Ids of the escalations that a spool file holds, ready and sent."""
    spool = Spool(path, max_bytes=2**30, max_age_s=1e6, metrics=Metrics())
    ids = []
    try:
        while envelope := spool.next_to_send(window=10_000):
            spool.mark_sent(envelope.id)
            if envelope.kind is Kind.ESCALATION:
                ids.append(envelope.id)
    finally:
        spool.close()
    return ids


def test_kill_minus_nine_loses_nothing_that_the_spool_had_taken(
    devhub: DevHub, tmp_path: Path
) -> None:
    devhub.cut()
    module = start_module(tmp_path)
    database = tmp_path / "spool.db"
    try:
        wait_until(
            lambda: module.poll() is not None or _size(database) > 1_500_000,
            "a few escalations are on disk",
            timeout_s=60,
        )
        assert module.poll() is None
    finally:
        module.send_signal(signal.SIGKILL)
        module.wait(10)
    copy = tmp_path / "copy.db"
    for part in ("", "-wal"):
        copy.with_name(copy.name + part).write_bytes(Path(f"{database}{part}").read_bytes())
    kept = waiting_in(copy)
    assert len(kept) >= 3
    devhub.restore()
    with Verifier(devhub, LineOracle("line-1", LINE), delay_s=0.1):
        module = start_module(tmp_path)
        try:
            devhub.wait(lambda: set(kept) <= devhub.ids("escalation").keys(), timeout_s=60)
        finally:
            module.send_signal(signal.SIGTERM)
            code = module.wait(20)
    assert code == 0


def _size(database: Path) -> int:
    return sum(file.stat().st_size for file in database.parent.glob(f"{database.name}*"))
